"""What readers of published sets share: tables of tracklets, official counts, names, lists, indexes."""
