"""The download service: signed links to delivered files and a page that plays a narration with its text."""
