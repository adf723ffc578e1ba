"""What `imageedit doctor` looks at; each module finds out about one thing."""
