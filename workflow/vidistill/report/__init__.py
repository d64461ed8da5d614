"""Pictures and pages of what was learnt, one module for each kind; they read what runs leave and compute no result."""
