"""Page furniture that all applications of the sandbox share: language, templates, headers. It knows none of
them."""
