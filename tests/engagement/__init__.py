"""What the three persons of the engagement do, through their screens."""
