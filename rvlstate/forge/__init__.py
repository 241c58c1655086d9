"""Plans as comments and verdicts on GitHub and GitLab: where we are, what is posted, and the ways there."""
