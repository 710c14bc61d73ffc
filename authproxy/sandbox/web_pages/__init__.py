"""What the pages of all sandbox applications share: languages, templates, headers, HTTP Basic. It imports
none of the applications."""
