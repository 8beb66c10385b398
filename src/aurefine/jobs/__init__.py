"""Jobs: option tables, runners and the files they write."""
