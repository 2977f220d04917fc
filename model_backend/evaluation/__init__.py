"""How good imagery is: of a model against real chips, of scenes, edits and regions, and of any picture."""
