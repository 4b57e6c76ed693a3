"""Lists at `/home`, clicks to `/click`: `APP_DB=app.db uvicorn --factory app:application`."""

import os

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse

from siamrec import Placement, Workspace
from siamrec.errors import SiamrecError
from siamrec.simulation import World


def application():
    """Return the application of a workspace; a new one learns from simulated people."""
    ws = Workspace(f"sqlite:///{os.environ['APP_DB']}")
    if not ws.placements():
        world = World(n_users=300, n_items=120).simulate(7)
        ws.feedback.write(world.feedback)
        ws.catalog.write(world.catalog)
        ws.place(Placement(name="home", arms={"svd": "pure-svd", "graph": "rp3beta"}))
        ws.train("home")
    home, app = ws.placement("home"), FastAPI()

    @app.get("/home")
    def lists(user: str | None = None, request: str | None = None):
        return Response(
            home.recommend(user, request=request).to_json(), media_type="application/json"
        )

    @app.post("/click")
    def click(shown: str, item: str):
        return Response(ws.feedback.click(shown, item).to_json(), media_type="application/json")

    @app.exception_handler(SiamrecError)
    def refused(_request, error):
        return PlainTextResponse(str(error), status_code=400)

    return app
