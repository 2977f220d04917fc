"""How real land by example looks, how much it copies, and what fills leave behind, on real land that it has
never seen.

held_out      real images that a bank does not hold
scenes        scenes straight from a bank
realism       whether real and generated windows can be told apart
copies        how large the pieces are that a scene is put together from
fills         masks filled from their surroundings, in colour and near infrared
speed         what a scene takes
command       all of it in one report: begin here
"""
