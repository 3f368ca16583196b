"""Read a photograph, from a file or from the web, or say in one sentence why that cannot be done.

A file of a few bytes can unfold to gigabytes, a server can send for ever, and a phone stores its
photos lying on their side: what is refused or put right here need not be thought of later.
"""

import contextlib
import http.client
import io
import queue
import re
import string
import threading
import time
import urllib.request
import warnings
from pathlib import Path
from urllib.parse import quote, urljoin

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
LONGEST_SIDE = 1_024  # pixels; larger photos are scaled down
SMALLEST_SIDE = 32  # pixels; a garment of 28×28 is to be cut out of it
PIXELS = 50_000_000  # 200 MB once decoded
FILE_BYTES = 20_000_000
DOWNLOAD_SECONDS = 20  # for everything: finding the server, redirects, the last byte
REDIRECTS = 5

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # two letters or more: C: is a drive
# Python's own name is turned away by some servers.
HEADERS = {"User-Agent": "garment-classification-series", "Accept": "image/*"}
EXPECTED = "expected a picture (JPEG, PNG, WebP, GIF, BMP or TIFF)"
EXPORT = "open it in a photo program and export it as JPEG"


class PhotoError(ValueError):
    """A photograph cannot be used: what was expected, what came, what to do, in one sentence."""


def read_photo(source):
    """Read a photograph, upright and in color, at most 1,024 pixels long.

    The format is recognized by the content, never by the name. Of an animation the first frame
    is taken. What is transparent becomes white: garments that have been cut out were meant for
    a white page, and the photographs behind Fashion-MNIST have a nearly white background. A file
    from the web is not stored.

    Args:
        source: path, str or Path, or a str that starts with ``http://`` or ``https://``.

    Returns:
        ``(h, w, 3)`` uint8, red, green, blue.

    Raises:
        PhotoError: no such file or no answer, not a picture, damaged, too small or too large.
    """
    if isinstance(source, str) and SCHEME.match(source):
        content = _download(source)
    else:
        content = _read_file(Path(source))
    if not content:
        raise PhotoError(f"{source}: {EXPECTED}, found nothing in it; fetch or export it again")
    if len(content) > FILE_BYTES:
        raise PhotoError(
            f"{source}: expected at most {FILE_BYTES:,} bytes, found more; "
            "export the picture in a smaller size"
        )
    return np.array(_decode(content, source))


def _read_file(path):
    """Return the bytes of a file, or enough of them to see that it is too large."""
    path = path.absolute()  # in a message it says where a relative path was looked for
    try:
        if path.is_dir():
            raise PhotoError(f"{path}: {EXPECTED}, found a folder; name one of the files in it")
        if not path.is_file():  # nothing, or a device that might never end
            raise PhotoError(f"{path}: {EXPECTED}, found no such file; check name and folder")
        with path.open("rb") as file:
            return file.read(FILE_BYTES + 1)
    except OSError as error:
        raise PhotoError(
            f"{path}: {EXPECTED}, cannot read the file ({error.strerror}); "
            "check its name and permissions"
        ) from None


# From bytes to a picture


def _decode(content, source):
    """Turn the bytes of a file into an upright RGB picture of Pillow's."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on oddities that do not matter here
            image = Image.open(io.BytesIO(content), formats=FORMATS)  # reads the header alone
            _check_size(image.size, source)
            scale = min(1, LONGEST_SIDE / max(image.size))
            # A JPEG is decoded at a half, a quarter or an eighth of its size where that is
            # still enough; other formats ignore this.
            image.draft(None, tuple(max(1, round(scale * side)) for side in image.size))
            image.load()
            with contextlib.suppress(Exception):  # damaged EXIF: as stored, as viewers show it
                image = ImageOps.exif_transpose(image)
            image = _to_rgb(image, source)
            image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
            return image
    except PhotoError:
        raise
    except Image.UnidentifiedImageError:
        found, advice = _recognize(content)
        raise PhotoError(f"{source}: {EXPECTED}, found {found}; {advice}") from None
    except Image.DecompressionBombError:  # Pillow's own limit comes before ours can be looked at
        raise PhotoError(_too_many_pixels(source, "far more")) from None
    except Exception as error:  # decoders of damaged files raise nearly anything
        raise PhotoError(
            f"{source}: expected a whole picture, found one that is truncated or damaged "
            f"({_one_line(error)}); fetch or export it again"
        ) from None


def _check_size(size, source):
    """Refuse by the header what would not fit into memory, or would show nothing."""
    width, height = size
    if width * height > PIXELS:
        raise PhotoError(_too_many_pixels(source, f"{width:,}×{height:,}"))
    # A long strip is too narrow once it is scaled down.
    if min(size) * min(1, LONGEST_SIDE / max(size)) < SMALLEST_SIDE:
        raise PhotoError(
            f"{source}: expected at least {SMALLEST_SIDE} pixels on the smaller side (of "
            f"{LONGEST_SIDE:,} on the larger), found {width:,}×{height:,}, too small to show a "
            "garment; take a larger picture"
        )


def _too_many_pixels(source, found):
    return (
        f"{source}: expected at most {PIXELS:,} pixels, found {found}; "
        "export the picture in a smaller size"
    )


def _to_rgb(image, source):
    """Convert a picture of any mode: gray, palette, CMYK, transparent, 16 bits."""
    if image.mode in ("I", "F"):
        raise PhotoError(
            f"{source}: expected 8 or 16 bits per color, found 32, for which nobody knows what "
            f"is white; {EXPORT}"
        )
    if image.mode.startswith("I;16"):
        gray = np.asarray(image)  # (h, w) uint16; Pillow would make white of all above 255
        return Image.fromarray((gray // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        garment = image.convert("RGBA")
        page = Image.new("RGB", garment.size, "white")
        page.paste(garment, mask=garment)
        return page
    return image.convert("RGB")


def _recognize(content):
    """Say what content that is no picture probably is, and what to do about it."""
    brand = content[8:12] if content[4:8] == b"ftyp" else None
    start = content[:1_000].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if brand in (b"avif", b"avis"):
        return "an AVIF picture", EXPORT
    if brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        return "a HEIC picture, as iPhones make them", EXPORT
    if brand:
        return "a video", "take a picture of it"
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page", "save or name the picture itself, not the page that shows it"
    if b"<svg" in start:
        return "an SVG drawing", EXPORT
    if start.startswith(b"%pdf"):
        return "a PDF document", EXPORT
    if not re.search(rb"[\x00-\x08\x0e-\x1f]", start):  # no control characters
        return "text", "name a picture"
    return "something else or only a piece of one", "fetch it again or export it as JPEG"


def _one_line(error):
    """Return what an error says, without the line ends and control characters of strangers."""
    text = "".join(character if character.isprintable() else " " for character in str(error))
    return " ".join(text.split())[:200]


# From the web


def _download(url):
    """Return the bytes behind an address, within ``DOWNLOAD_SECONDS`` whatever happens."""
    # A timeout of the socket would start anew with each byte that drips in, and there is none
    # for the look-up of a name. So the work is done beside, and the wait for it has an end.
    outcomes = queue.SimpleQueue()
    deadline = time.monotonic() + DOWNLOAD_SECONDS

    def work():
        try:
            outcomes.put(_fetch(quote(url, safe=string.punctuation), deadline))
        except Exception as error:
            outcomes.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        outcome = outcomes.get(timeout=DOWNLOAD_SECONDS)
    except queue.Empty:
        outcome = TimeoutError()
    reason = getattr(outcome, "reason", outcome)  # what urllib has wrapped
    if isinstance(reason, TimeoutError):
        raise PhotoError(
            f"{url}: expected the whole picture within {DOWNLOAD_SECONDS} s, it took longer; "
            "try again later, or save the picture and give its path"
        )
    if isinstance(outcome, PhotoError):
        raise outcome
    if isinstance(outcome, (OSError, http.client.HTTPException, ValueError, OverflowError)):
        raise PhotoError(
            f"{url}: {EXPECTED}, got no proper answer ({_one_line(reason)}); check the address and "
            "the network, or save the picture and give its path"
        )
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _fetch(url, deadline):
    """Follow redirects to an answer of the right kind and return its body."""
    opener = urllib.request.OpenerDirector()  # without urllib's handlers for ftp: and file:
    opener.add_handler(urllib.request.ProxyHandler())
    opener.add_handler(urllib.request.HTTPHandler())
    opener.add_handler(urllib.request.HTTPSHandler())
    for _ in range(REDIRECTS + 1):
        scheme = url.partition(":")[0].lower() + ":"
        if scheme not in ("http:", "https:"):
            raise PhotoError(
                "expected a path, or an address that starts with http:// or https://, got one "
                f"that starts with {scheme}; save the picture and give its path"
            )
        request = urllib.request.Request(url, headers=HEADERS)
        with opener.open(request, timeout=DOWNLOAD_SECONDS) as answer:
            location = answer.headers.get("Location")
            if location is None or answer.status not in (301, 302, 303, 307, 308):
                return _read_answer(answer, url, deadline)
        # http.client has read the header as ISO-8859-1.
        location = quote(location, safe=string.punctuation, encoding="iso-8859-1")
        url = urljoin(url, location)
    raise PhotoError(
        f"{url}: expected at most {REDIRECTS} redirects, got more; "
        "open the address in a browser, save the picture and give its path"
    )


def _read_answer(answer, url, deadline):
    """Return the body of an answer, or enough of it to see that it is too large."""
    if answer.status != 200:
        meaning = http.client.responses.get(answer.status, "unknown")
        raise PhotoError(
            f"{url}: {EXPECTED}, the server answered {answer.status} ({meaning}); "
            "check the address in a browser"
        )
    kind = answer.headers.get_content_type()
    if not kind.startswith("image/") and kind != "application/octet-stream":
        raise PhotoError(
            f"{url}: {EXPECTED}, the server announced {kind!r:.60}; "
            "give the address of the picture itself, not of the page that shows it"
        )
    promised = answer.length  # None if the server does not say
    content = bytearray()
    while len(content) <= FILE_BYTES and (piece := answer.read1(65_536)):
        content += piece
        if time.monotonic() > deadline:  # nobody waits any more
            raise TimeoutError
    if promised and len(content) < min(promised, FILE_BYTES):
        raise PhotoError(
            f"{url}: expected {promised:,} bytes, the connection broke off after "
            f"{len(content):,}; try again"
        )
    return bytes(content)
