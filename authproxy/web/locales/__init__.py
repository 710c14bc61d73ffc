"""The words of the pages: English stands in the templates, every other language is a catalogue here."""
