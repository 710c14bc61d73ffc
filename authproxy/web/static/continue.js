// Sends on the one form of a page whose only next step it is. Without this script its button does the same.
document.querySelector("form[data-continue]").requestSubmit();
