"""Pictures: checked on the way in, masks read and written, results finished."""
