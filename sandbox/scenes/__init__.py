"""The sample pictures, rendered in code so that nothing foreign ships."""
