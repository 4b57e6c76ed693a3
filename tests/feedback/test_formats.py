"""Files in known formats, on rows made here: recognised by their content, read as they mean."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from siamrec.data import FeedbackKind
from siamrec.errors import InvalidDataError, SiamrecError, UnknownNameError
from siamrec.feedback import FILE_FORMATS, FileFeedback, FileFormat
from siamrec.feedback.formats import recognised
from siamrec.plugins import Registry, hookimpl

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.data import Feedback

K = FeedbackKind
HASH = "0123456789abcdef0123456789abcdef01234567"


def at(*when: int) -> int:
    """The nanoseconds of a moment, by Python's own calendar."""
    seconds = datetime(*when, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]
    return int(seconds) * 10**9


class Case(NamedTuple):
    """A file, and its events: user, item, kind, value, time, weight."""

    format: str
    name: str
    text: str
    events: list[tuple[Any, ...]]


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


CASES = [
    Case(
        "movielens",
        "ratings.csv",
        "userId,movieId,rating,timestamp\r\n7,31,2.5,1300000001\r\n7,32,3.0,1300000002\r\n",
        [
            ("7", "31", K.RATING, 2.5, 1300000001 * 10**9),
            ("7", "32", K.RATING, 3.0, 1300000002 * 10**9),
        ],
    ),
    Case(
        "movielens-100k",
        "u.data",
        "17\t5\t3\t890000001\n18\t6\t1\t890000002\n",
        [
            ("17", "5", K.RATING, 3.0, 890000001 * 10**9),
            ("18", "6", K.RATING, 1.0, 890000002 * 10**9),
        ],
    ),
    Case(
        "movielens-dat",
        "ratings.dat",
        "3::77::5::980000001\n3::78::3.5::980000002\n",
        [
            ("3", "77", K.RATING, 5.0, 980000001 * 10**9),
            ("3", "78", K.RATING, 3.5, 980000002 * 10**9),
        ],
    ),
    Case(
        "book-crossing",
        "BX-Book-Ratings.csv",
        '"User-ID";"ISBN";"Book-Rating"\n"11";"0345XÉ";"8"\n"12";"0155";"0"\n"13";"2080";"10"\n',
        [("11", "0345XÉ", K.RATING, 8.0), ("13", "2080", K.RATING, 10.0)],
    ),
    Case(
        "amazon-2014",
        "reviews.json",
        lines(
            {
                "reviewerID": "A2ABC", "asin": "B00001", "overall": 4.0, "reviewText": "Fine.",
                "unixReviewTime": 1400000400, "reviewTime": "05 13, 2014", "helpful": [0, 1],
            },
            {
                "reviewerID": "A3ABC", "asin": "B00001", "overall": 1.0, "reviewText": "No.",
                "unixReviewTime": 1400086800, "reviewTime": "05 14, 2014", "helpful": [],
            },
        ),
        [
            ("A2ABC", "B00001", K.RATING, 4.0, 1400000400 * 10**9),
            ("A3ABC", "B00001", K.RATING, 1.0, 1400086800 * 10**9),
        ],
    ),
    Case(
        "amazon-2014-ratings",
        "ratings_Things.csv",
        "A1B2C3D4E5F6G7,B000000001,5.0,1400000400\nAZ2C3D4E5F6G7H,0123456789,2.0,1400086800\n",
        [
            ("A1B2C3D4E5F6G7", "B000000001", K.RATING, 5.0, 1400000400 * 10**9),
            ("AZ2C3D4E5F6G7H", "0123456789", K.RATING, 2.0, 1400086800 * 10**9),
        ],
    ),
    Case(
        "amazon-2018-ratings",
        "Things.csv",
        "B000000001,A1B2C3D4E5F6G7,5.0,1400000400\n0123456789,AZ2C3D4E5F6G7H,2.0,1400086800\n",
        [
            ("A1B2C3D4E5F6G7", "B000000001", K.RATING, 5.0, 1400000400 * 10**9),
            ("AZ2C3D4E5F6G7H", "0123456789", K.RATING, 2.0, 1400086800 * 10**9),
        ],
    ),
    Case(
        "amazon-2023",
        "Things.jsonl",
        lines(
            {
                "rating": 5.0, "title": "Good", "text": "Yes.", "images": [], "asin": "B01",
                "parent_asin": "B00", "user_id": "AE1", "timestamp": 1600000000923,
                "helpful_vote": 0, "verified_purchase": True,
            }
        ),
        [("AE1", "B00", K.RATING, 5.0, 1600000000923 * 10**6)],
    ),
    Case(
        "goodreads",
        "goodreads_interactions_new.json",
        lines(
            {
                "user_id": "51", "book_id": "170", "review_id": "a1", "is_read": True,
                "rating": 3, "review_text_incomplete": "", "read_at": "", "started_at": "",
                "date_added": "Tue Dec 01 10:20:30 -0800 2015",
                "date_updated": "Tue Dec 01 10:21:00 -0800 2015",
            },
            {
                "user_id": "51", "book_id": "171", "review_id": "a2", "is_read": False,
                "rating": 0, "review_text_incomplete": "", "read_at": "", "started_at": "",
                "date_added": "Tue Dec 01 10:20:31 -0800 2015",
                "date_updated": "Tue Dec 01 10:21:00 -0800 2015",
            },
        ),
        [("51", "170", K.RATING, 3.0, at(2015, 12, 1, 18, 20, 30))],
    ),
    Case(
        "lastfm-360k",
        "usersha1-artmbid-artname-plays.tsv",
        f'{HASH}\tid-1\t"odd name" band\t250\n{HASH}\t\tquiet\t3\n',
        [
            (HASH, '"odd name" band', K.CLICK, 1.0, None, 250.0),
            (HASH, "quiet", K.CLICK, 1.0, None, 3.0),
        ],
    ),
    Case(
        "lastfm-1k",
        "userid-timestamp-artid-artname-traid-traname.tsv",
        "user_000001\t2010-01-02T03:04:05Z\tar-1\tSome band\ttr-1\tSong\n"
        'user_000002\t2010-01-03T03:04:06Z\tar-2\tOther\ttr-2\tThe "song"\n',
        [
            ("user_000001", "tr-1", K.CLICK, 1.0, at(2010, 1, 2, 3, 4, 5)),
            ("user_000002", "tr-2", K.CLICK, 1.0, at(2010, 1, 3, 3, 4, 6)),
        ],
    ),
    Case(
        "retailrocket",
        "events.csv",
        "timestamp,visitorid,event,itemid,transactionid\n1440000000117,257,view,355,\n"
        "1440000000164,992,addtocart,248,\n1440000000276,599,transaction,356,4000\n",
        [
            ("257", "355", K.VIEW, 1.0, 1440000000117 * 10**6),
            ("992", "248", K.CONVERSION, 1.0, 1440000000164 * 10**6),
            ("599", "356", K.CONVERSION, 1.0, 1440000000276 * 10**6),
        ],
    ),
    Case(
        "mind",
        "behaviors.tsv",
        "1\tU13\t11/13/2019 9:08:07 AM\tN5 N6\tN7-1 N8-0\n2\tU14\t11/14/2019 6:15:16 PM\t\tN7-0\n",
        [
            ("U13", "N7", K.IMPRESSION, 1.0, at(2019, 11, 13, 9, 8, 7)),
            ("U13", "N7", K.CLICK, 1.0, at(2019, 11, 13, 9, 8, 7)),
            ("U13", "N8", K.IMPRESSION, 1.0, at(2019, 11, 13, 9, 8, 7)),
            ("U14", "N7", K.IMPRESSION, 1.0, at(2019, 11, 14, 18, 15, 16)),
        ],
    ),
    Case(
        "kuairand",
        "log_standard.csv",
        "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,"
        "is_hate,long_view,play_time_ms,duration_ms\n"
        "0,38,20220808,900,1660000000829,1,1,0,0,0,0,1,12500,20000\n"
        "0,39,20220808,900,1660000000298,0,0,0,0,0,1,0,0,20000\n",
        [
            ("0", "38", K.IMPRESSION, 1.0, 1660000000829 * 10**6),
            ("0", "38", K.CLICK, 1.0, 1660000000829 * 10**6),
            ("0", "38", K.THUMB, 1.0, 1660000000829 * 10**6),
            ("0", "38", K.DWELL, 12.5, 1660000000829 * 10**6),
            ("0", "39", K.IMPRESSION, 1.0, 1660000000298 * 10**6),
            ("0", "39", K.THUMB, -1.0, 1660000000298 * 10**6),
        ],
    ),
    Case(
        "recbole",
        "shop.inter",
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "41\t52\t3\t890000001.0\n42\t53\t1\t890000003\n",
        [
            ("41", "52", K.RATING, 3.0, 890000001 * 10**9),
            ("42", "53", K.RATING, 1.0, 890000003 * 10**9),
        ],
    ),
    Case(
        "stackexchange-votes",
        "votes.csv",
        "Id,PostId,VoteTypeId,UserId,CreationDate\n1,35,5,9,2011-03-04 00:00:00\n"
        "2,36,3,8,2011-03-05 00:00:00\n3,36,8,8,2011-03-05 00:00:00\n",
        [
            ("9", "35", K.THUMB, 1.0, at(2011, 3, 4)),
            ("8", "36", K.THUMB, -1.0, at(2011, 3, 5)),
        ],
    ),
    Case(
        "langfuse",
        "scores.json",
        json.dumps(
            {
                "data": [
                    {
                        "id": "s1", "traceId": "t1", "name": "helpful", "value": 0.5,
                        "source": "API", "timestamp": "2026-01-02T03:04:05.678Z",
                        "trace": {"userId": "ann"},
                    },
                    {
                        "id": "s2", "traceId": "t2", "name": "helpful", "value": 1,
                        "source": "API", "timestamp": "2026-01-02T03:04:06Z",
                        "trace": {"userId": "bob"},
                    },
                ],
                "meta": {"page": 1},
            },
            indent=1,
        ),
        [
            ("ann", "t1", K.RATING, 0.5, at(2026, 1, 2, 3, 4, 5) + 678_000_000),
            ("bob", "t2", K.RATING, 1.0, at(2026, 1, 2, 3, 4, 6)),
        ],
    ),
    Case(
        "open-webui",
        "feedback.json",
        json.dumps(
            [
                {
                    "id": "f1", "user_id": "u-1", "type": "rating", "version": 0,
                    "data": {"rating": 1, "model_id": "small", "tags": ["a"], "reason": None},
                    "meta": {"chat_id": "c"}, "created_at": 1731000000,
                    "updated_at": 1731000001,
                },
                {
                    "id": "f2", "user_id": "u-2", "type": "rating", "version": 0,
                    "data": {"rating": "-1", "model_id": "large", "tags": []},
                    "meta": {"chat_id": "d"}, "created_at": 1731000002,
                    "updated_at": 1731000003,
                },
            ]
        ),
        [
            ("u-1", "small", K.THUMB, 1.0, 1731000000 * 10**9),
            ("u-2", "large", K.THUMB, -1.0, 1731000002 * 10**9),
        ],
    ),
]  # fmt: skip


def events_of(feedback: Feedback, width: int) -> list[tuple[Any, ...]]:
    rows = zip(
        feedback.users.decode(feedback.user),
        feedback.items.decode(feedback.item),
        map(FeedbackKind, feedback.kind.tolist()),
        feedback.value.tolist(),
        [None if not feedback.has_time else t for t in feedback.time.tolist()],
        feedback.weight.tolist(),
        strict=True,
    )
    return [row[:width] for row in rows]


@pytest.mark.parametrize("named", [False, True], ids=["recognised", "named"])
@pytest.mark.parametrize("case", CASES, ids=[case.format for case in CASES])
def test_a_known_format_is_read_as_it_means(case: Case, tmp_path: Path, *, named: bool) -> None:
    path = tmp_path / case.name
    encoding = "latin-1" if case.format == "book-crossing" else "utf-8"
    path.write_bytes(case.text.encode(encoding))
    loaded = FileFeedback(path=path, format=case.format if named else None).load()
    assert events_of(loaded.feedback, len(case.events[0])) == case.events
    assert loaded.rejected == ()
    assert case.format in loaded.told["format"]


def test_every_format_has_a_case() -> None:
    assert {case.format for case in CASES} | {"siamrec"} == set(FILE_FORMATS.house())


def test_a_list_of_what_was_shown_keeps_places_and_the_id_of_the_list(tmp_path: Path) -> None:
    path = tmp_path / "behaviors.tsv"
    path.write_text(next(case.text for case in CASES if case.format == "mind"))
    feedback = FileFeedback(path=path).load().feedback
    assert feedback.position is not None
    assert feedback.decision is not None
    assert feedback.position.tolist() == [1, 1, 2, 1]
    assert feedback.decision.tolist() == ["1", "1", "1", "2"]


def test_a_folder_of_a_known_format_is_read_without_its_other_files(tmp_path: Path) -> None:
    case = CASES[0]
    (tmp_path / case.name).write_text(case.text)
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n31,Boat,Drama\n")
    loaded = FileFeedback(path=tmp_path, format="movielens").load()
    assert events_of(loaded.feedback, 5) == case.events
    with pytest.raises(InvalidDataError, match="No column stands for the user"):
        FileFeedback(path=tmp_path).load()


def test_a_setting_that_is_given_wins(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.format == "book-crossing")
    path = tmp_path / case.name
    path.write_text(case.text)
    loaded = FileFeedback(path=path, not_rated=(8,), scale=(0, 10)).load()
    assert loaded.feedback.value.tolist() == [0.0, 10.0]
    assert loaded.left_out == {"not rated": 1}


def test_a_format_that_does_not_fit_says_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item\na,b\n")
    with pytest.raises(InvalidDataError, match="has a column visitorid, found user, item"):
        FileFeedback(path=path, format="retailrocket").load()
    with pytest.raises(UnknownNameError, match="Did you mean 'movielens'"):
        FileFeedback(path=path, format="movilens")


def test_a_format_of_ones_own() -> None:
    mine = FileFormat(about="Our shop", header=("who", "what"), columns={"user": "who|wer"})
    assert mine.fits(("what", "who", "more"), "")
    assert mine.found(("wer",)) == {"user": "wer"}
    assert "Our shop" in str(mine)
    assert recognised(FILE_FORMATS.house(), ("a", "b"), "nothing known") is None


def votes(**settings: Any) -> FileFormat:
    """A format of files with the columns `citizen`, `thing` and `ballot`."""
    columns = {"user": "citizen", "item": "thing", "kind": "ballot"}
    header = settings.pop("header", ("citizen", "thing", "ballot"))
    words = {"kinds": {"aye": "like", "nay": "dislike"}}
    return FileFormat(about="Votes", header=header, columns=columns, settings=words, **settings)


def test_a_format_is_handed_in(tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_text("citizen,thing,ballot\nann,boat,aye\nbob,boat,nay\n")
    loaded = FileFeedback(path=tmp_path / "votes.csv", format=votes()).load()
    assert loaded.feedback.value.tolist() == [1.0, -1.0]
    assert loaded.told["format"] == "given, as was said: Votes"


@pytest.fixture
def _own_book(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FILE_FORMATS, "_entries", dict(FILE_FORMATS._entries))


@pytest.mark.usefixtures("_own_book")
def test_a_plugin_brings_a_format(tmp_path: Path) -> None:
    class Town:
        @hookimpl
        def siamrec_file_formats(self) -> dict[str, FileFormat]:
            return {"town-votes": votes()}

    path = tmp_path / "votes.csv"
    path.write_text("citizen,thing,ballot\nann,boat,aye\nbob,boat,nay\n")
    with pytest.raises(InvalidDataError, match="No column stands for the user"):
        FileFeedback(path=path).load()
    registry = Registry(Town())
    with pytest.raises(UnknownNameError, match="town-votes"):  # a registry is a value
        FileFeedback(path=path, format="town-votes")
    registry.publish()
    loaded = FileFeedback(path=path).load()
    assert loaded.told["format"] == "town-votes of Town, by its columns: Votes"
    assert loaded.feedback.value.tolist() == [1.0, -1.0]
    assert FileFeedback(path=path, format="town-votes").load().feedback.value.tolist() == [1, -1]


@pytest.mark.usefixtures("_own_book")
def test_of_two_formats_the_nearer_is_taken_and_neither_where_none_is(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("citizen,thing,ballot,town\nann,boat,aye,x\n")
    FILE_FORMATS.add("votes", votes(), owner="one")
    FILE_FORMATS.add("town", votes(header=("citizen", "thing", "ballot", "town")), owner="two")
    assert FileFeedback(path=path).load().told["format"].startswith("town of two")
    FILE_FORMATS.add("again", votes(), owner="three")
    FILE_FORMATS.add("other", votes(header=("citizen", "town")), owner="three")
    assert FileFeedback(path=path).load().told["format"].startswith("town of two")
    path.write_text("citizen,thing,ballot\nann,boat,aye\n")
    with pytest.raises(InvalidDataError, match="may be of the format again or votes. Say which"):
        FileFeedback(path=path).load()
    assert len(FileFeedback(path=path, format="again").load().feedback) == 1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"columns": {"usr": "who"}}, "No column role is named 'usr'. Did you mean 'user'"),
        ({"settings": {"scal": (1, 5)}}, "No setting of a format is named 'scal'. Did you"),
        ({"settings": [("scale", 1)]}, "settings must be a Mapping"),
        ({"line": "("}, "line must be a regular expression"),
        ({"header": "who"}, "header must be a list of names of columns"),
    ],
)
def test_a_format_that_cannot_be_is_refused_when_it_is_made(
    wrong: dict[str, Any], told: str
) -> None:
    with pytest.raises(SiamrecError, match=re.escape(told)):
        FileFormat(about="Wrong", **wrong)


def test_plugins_are_not_loaded_for_a_file_that_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading them may take seconds."""

    def loaded() -> None:
        raise AssertionError

    monkeypatch.setattr("siamrec.feedback.formats.installed_plugins", loaded)
    (tmp_path / "log.csv").write_text("user,item,rating\na,x,3\n")
    assert len(FileFeedback(path=tmp_path / "log.csv").load().feedback) == 1
    (tmp_path / "ratings.csv").write_text(CASES[0].text)
    assert "movielens" in FileFeedback(path=tmp_path / "ratings.csv").load().told["format"]
    (tmp_path / "odd.csv").write_text("citizen,thing\na,x\n")
    with pytest.raises(AssertionError):
        FileFeedback(path=tmp_path / "odd.csv").load()
