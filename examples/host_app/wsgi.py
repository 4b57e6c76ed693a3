"""Lists at `/home?user=ann`, clicks at `/click?list=…&item=…`: `python wsgi.py app.db`."""

import sys
from urllib.parse import parse_qs
from wsgiref.simple_server import make_server

from siamrec import Placement, Workspace
from siamrec.errors import SiamrecError
from siamrec.simulation import World


def application(path):
    """Return the WSGI application of a workspace; a new one learns from simulated people."""
    ws = Workspace(f"sqlite:///{path}")
    if not ws.placements():
        world = World(n_users=300, n_items=120).simulate(7)
        ws.feedback.write(world.feedback)
        ws.catalog.write(world.catalog)
        ws.place(Placement(name="home", arms={"svd": "pure-svd", "graph": "rp3beta"}))
        ws.train("home")
    home = ws.placement("home")

    def answer(environ, start):
        asked = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        try:
            if environ["PATH_INFO"] == "/click":
                body = ws.feedback.click(asked["list"], asked["item"]).to_json()
            else:
                body = home.recommend(asked.get("user"), request=asked.get("request")).to_json()
        except (SiamrecError, KeyError) as error:
            start("400 Bad Request", [("Content-Type", "text/plain; charset=utf-8")])
            return [str(error).encode()]
        start("200 OK", [("Content-Type", "application/json")])
        return [body.encode()]

    return answer


if __name__ == "__main__":
    make_server("127.0.0.1", 8000, application(sys.argv[1])).serve_forever()
