"""A user's footage -> a gallery of tracklets -> ranked answers and identities across cameras."""
