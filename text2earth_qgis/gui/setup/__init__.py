"""Setting a backend up from the panel: on this computer or on a server, up to the first layer."""
