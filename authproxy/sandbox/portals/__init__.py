"""Demo portals: old-fashioned web applications that know their users only by what the gateway tells them."""
