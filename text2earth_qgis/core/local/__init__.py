"""The backend on this computer: its environment, how that is installed, and how the backend is started."""
