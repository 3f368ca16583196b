"""A photograph is read right whatever its format, or refused in one sentence; nothing hangs."""

import io
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image, ImageFile

from garment_utils import photo_files
from garment_utils.paths import ROOT
from garment_utils.photo_files import PhotoError, read_photo

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 180, 30), (30, 30, 220), (230, 220, 40)
CORNERS = {(0, 0): RED, (0, -1): GREEN, (-1, 0): BLUE, (-1, -1): YELLOW}  # (row, column)
FORMATS = {
    "JPEG": {"quality": 95},
    "MPO": {"quality": 95},  # what many phones write as .jpg
    "PNG": {},
    "WEBP": {"lossless": True},
    "GIF": {},
    "BMP": {},
    "TIFF": {},
}


def colored_corners(width=96, height=64):
    """Return a picture with another color in each quarter, so that each way up is told apart."""
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    for (row, column), color in CORNERS.items():
        rows = slice(height // 2) if row == 0 else slice(height // 2, None)
        columns = slice(width // 2) if column == 0 else slice(width // 2, None)
        pixels[rows, columns] = color
    return Image.fromarray(pixels)


def encoded(image, name="PNG", **options):
    content = io.BytesIO()
    image.save(content, name, **options)
    return content.getvalue()


def written(folder, content, name="photo.jpg"):
    """Write a file under a name that says nothing true about its content."""
    path = folder / name
    path.write_bytes(content)
    return path


def assert_colors(photo, corners, apart=8):
    assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3
    for corner, color in corners.items():
        assert np.abs(photo[corner].astype(int) - color).max() <= apart, corner


def refusal(source):
    """Return the sentence with which a source is refused."""
    with pytest.raises(PhotoError) as caught:
        read_photo(source)
    sentence = str(caught.value)
    assert "expected" in sentence and ";" in sentence
    assert "\n" not in sentence and not sentence.endswith(".")
    return sentence


# What is read


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_recognized_by_its_content(tmp_path, name):
    path = written(tmp_path, encoded(colored_corners(), name, **FORMATS[name]), "photo.txt")
    for source in (path, str(path)):
        photo = read_photo(source)
        assert photo.shape == (64, 96, 3)
        assert_colors(photo, CORNERS)


# What the two sides named by an EXIF orientation show: where row 0 and where column 0 belong.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}
OPPOSITE = {"top": "bottom", "bottom": "top", "left": "right", "right": "left"}


@pytest.mark.parametrize("name", ["JPEG", "MPO", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", SIDES)
def test_photos_stand_upright(tmp_path, orientation, name):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = written(tmp_path, encoded(colored_corners(), name, exif=exif, **FORMATS[name]))
    row_side, column_side = SIDES[orientation]
    expected = {}
    for (row, column), color in CORNERS.items():  # as stored
        sides = {
            row_side if row == 0 else OPPOSITE[row_side],
            column_side if column == 0 else OPPOSITE[column_side],
        }
        expected[0 if "top" in sides else -1, 0 if "left" in sides else -1] = color
    photo = read_photo(path)
    assert photo.shape == ((96, 64, 3) if orientation > 4 else (64, 96, 3))
    assert_colors(photo, expected)


def test_damaged_exif_does_not_cost_the_picture(tmp_path):
    content = encoded(colored_corners(), "WEBP", lossless=True, exif=b"Exif\0\0nonsense")
    assert_colors(read_photo(written(tmp_path, content)), CORNERS)


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_large_photos_are_scaled_down_and_keep_their_shape(tmp_path, name):
    exif = Image.Exif()
    exif[0x0112] = 6  # lying on its side, as phones store them
    image = colored_corners(4_000, 3_000)
    photo = read_photo(written(tmp_path, encoded(image, name, exif=exif)))
    assert photo.shape == (1_024, 768, 3)
    assert_colors(photo, {(0, 0): BLUE, (0, -1): RED, (-1, 0): YELLOW, (-1, -1): GREEN})


def test_large_jpegs_are_decoded_at_a_fraction_of_their_size(tmp_path, monkeypatch):
    decoded = []
    transpose = photo_files.ImageOps.exif_transpose
    monkeypatch.setattr(
        photo_files.ImageOps,
        "exif_transpose",
        lambda image: decoded.append(image.size) or transpose(image),
    )
    read_photo(written(tmp_path, encoded(colored_corners(4_000, 3_000), "JPEG")))
    assert decoded == [(2_000, 1_500)]


def test_small_photos_are_not_enlarged(tmp_path):
    assert read_photo(written(tmp_path, encoded(colored_corners(32, 40)))).shape == (40, 32, 3)


def test_gray_and_one_bit(tmp_path):
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 40, axis=0)  # (40, 256)
    photo = read_photo(written(tmp_path, encoded(Image.fromarray(ramp))))
    assert np.array_equal(photo, np.repeat(ramp[:, :, None], 3, axis=2))
    photo = read_photo(written(tmp_path, encoded(Image.fromarray(ramp > 127))))
    assert np.array_equal(photo, np.repeat(np.uint8(255 * (ramp > 127))[:, :, None], 3, axis=2))


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path, name):
    ramp = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 40, axis=0)  # 0 to 65,535
    content = encoded(Image.fromarray(ramp), name)
    photo = read_photo(written(tmp_path, content))
    assert np.array_equal(photo, np.repeat(np.uint8(ramp // 257)[:, :, None], 3, axis=2))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_numbers_without_a_known_white_are_refused(tmp_path, dtype):
    image = Image.fromarray(np.ones((40, 40), dtype=dtype))
    assert "found 32" in refusal(written(tmp_path, encoded(image, "TIFF")))


@pytest.mark.parametrize("name", ["JPEG", "TIFF"])
def test_cmyk_becomes_the_colors_it_prints(tmp_path, name):
    image = colored_corners().convert("CMYK")
    assert_colors(read_photo(written(tmp_path, encoded(image, name))), CORNERS)


def cut_out(mode):
    """Return a picture whose left half is transparent (over black) and whose right half is red."""
    pixels = np.zeros((40, 60, 4), dtype=np.uint8)
    pixels[:, 30:] = (*RED, 255)
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_becomes_white(tmp_path, name):
    content = encoded(cut_out("RGBA"), name, **FORMATS[name])
    assert_colors(read_photo(written(tmp_path, content)), {(0, 0): (255,) * 3, (0, -1): RED})


def test_half_transparent_pixels_are_mixed_with_white(tmp_path):
    image = Image.new("RGBA", (40, 40), (100, 0, 0, 128))
    assert_colors(read_photo(written(tmp_path, encoded(image))), {(0, 0): (177, 127, 127)}, 1)


def test_gray_with_alpha(tmp_path):
    photo = read_photo(written(tmp_path, encoded(cut_out("LA"))))
    level = Image.new("RGB", (1, 1), RED).convert("L").getpixel((0, 0))
    assert_colors(photo, {(0, 0): (255,) * 3, (0, -1): (level,) * 3}, apart=1)


@pytest.mark.parametrize("name", ["PNG", "GIF"])
def test_palettes_with_and_without_a_transparent_color(tmp_path, name):
    image = colored_corners().quantize(8)
    photo = read_photo(written(tmp_path, encoded(image, name)))
    assert_colors(photo, CORNERS)
    red = image.getpixel((0, 0))
    photo = read_photo(written(tmp_path, encoded(image, name, transparency=red)))
    assert_colors(photo, {**CORNERS, (0, 0): (255,) * 3})


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP"])
def test_animations_show_their_first_frame(tmp_path, name):
    frames = [Image.new("RGB", (50, 40), color) for color in (RED, GREEN, BLUE)]
    content = encoded(frames[0], name, save_all=True, append_images=frames[1:], **FORMATS[name])
    assert_colors(read_photo(written(tmp_path, content)), {(0, 0): RED})


def test_the_picture_may_be_changed(tmp_path):
    read_photo(written(tmp_path, encoded(colored_corners())))[:] = 0


# What is refused


def png(width, height, rows=b"", bits=8):
    """Write a gray PNG by hand; the header may promise what does not follow."""

    def chunk(name, content):
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_a_header_that_promises_too_much_is_refused_undecoded(tmp_path, monkeypatch):
    decoded = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", decoded.append)
    for width, height in ((20_000, 20_000), (10_000, 5_001), (2**31 - 1, 2**31 - 1)):
        assert "50,000,000 pixels" in refusal(written(tmp_path, png(width, height)))
    assert decoded == []


def test_a_bomb_is_refused_without_unfolding_it(tmp_path):
    """49 KB that really unfold to 400 million pixels, refused by a process with little memory."""
    packer = zlib.compressobj()
    row = bytes(1 + 20_000 // 8)
    rows = b"".join([packer.compress(row * 1_000) for _ in range(20)]) + packer.flush()
    path = written(tmp_path, png(20_000, 20_000, rows, bits=1))
    assert path.stat().st_size < 100_000
    code = (
        "import resource, sys; from garment_utils import photo_files\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: photo_files.read_photo(sys.argv[1])\n"
        "except photo_files.PhotoError as error: print(error)\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "assert grown * (1 if sys.platform == 'darwin' else 1024) < 50e6, grown\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    assert "50,000,000 pixels" in result.stdout


def test_the_limit_is_in_pixels_of_the_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_files, "PIXELS", 64 * 96)
    read_photo(written(tmp_path, encoded(colored_corners(96, 64))))
    for name in FORMATS:
        content = encoded(colored_corners(96, 65), name, **FORMATS[name])
        assert "found 96×65" in refusal(written(tmp_path, content))


@pytest.mark.parametrize("size", [(1, 1), (31, 500), (500, 31), (2_048, 63), (5, 40_000)])
def test_too_small_or_too_narrow(tmp_path, size):
    path = written(tmp_path, encoded(Image.new("RGB", size)))
    assert "too small to show a garment" in refusal(path)


def test_large_files_are_not_read(tmp_path):
    path = tmp_path / "photo.jpg"
    with path.open("wb") as file:
        file.truncate(300_000_000)  # takes no space on the disk
    tracemalloc.start()
    assert "at most 20,000,000 bytes" in refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 60e6
    tracemalloc.stop()


def test_files_that_are_not_there(tmp_path):
    assert "found no such file" in refusal(tmp_path / "photo.jpg")
    assert "found no such file" in refusal("/dev/zero")
    assert "found a folder" in refusal(tmp_path)
    assert "found a folder" in refusal("")
    assert "cannot read the file (File name too long)" in refusal("x" * 5_000)
    assert "found no such file" in refusal("a\0b")
    assert "found nothing in it" in refusal(written(tmp_path, b""))


@pytest.mark.parametrize(
    "content, found",
    [
        (b"not a picture", "found text"),
        ("Año: no es una imagen".encode(), "found text"),
        (b"\xef\xbb\xbf\n <!DOCTYPE html><svg></svg>", "found a web page"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"%PDF-1.7\n", "found a PDF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "found a HEIC picture"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "found an AVIF picture"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "found a video"),
        (
            b"P6 64 64 255 " + bytes(64 * 64 * 3),
            "found something else",
        ),  # Pillow knows it, we do not
        (bytes(1_000), "found something else"),
        (bytes(range(256)), "found something else"),
    ],
)
def test_other_files_are_called_what_they_are(tmp_path, content, found):
    assert found in refusal(written(tmp_path, content))


@pytest.mark.parametrize("name", FORMATS)
def test_pieces_of_a_picture_are_refused(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), name, **FORMATS[name])
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9):
        refusal(written(tmp_path, content[: int(share * len(content))]))


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_pictures_are_read_or_refused_but_nothing_else(tmp_path, name):
    rng = np.random.default_rng(1)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker"
    options = FORMATS[name] | ({} if name in ("GIF", "BMP") else {"exif": exif})
    whole = np.frombuffer(encoded(colored_corners(40, 40), name, **options), dtype=np.uint8)
    for _ in range(60):
        damaged = whole.copy()
        places = rng.integers(0, min(len(whole), 400), size=rng.integers(1, 8))
        damaged[places] = rng.integers(0, 256, len(places))
        try:
            photo = read_photo(written(tmp_path, damaged.tobytes()))
        except PhotoError:
            continue
        assert photo.dtype == np.uint8 and photo.shape[2] == 3
        assert min(photo.shape[:2]) >= 32 and max(photo.shape[:2]) <= 1_024


# From the web

ENDLESS = 64_000_000  # bytes after which the endless server has mercy on a broken client


class Handler(BaseHTTPRequestHandler):
    """A server that misbehaves, in a way that the path names, and always ends by itself."""

    picture = encoded(colored_corners())

    def do_GET(self):
        try:
            getattr(self, self.path.strip("/").split("/")[0])()
        except OSError:  # the client has had enough
            self.server.left.set()

    def log_message(self, *_):
        pass

    def begin(self, kind="image/png", length=None, status=200, **headers):
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, piece):
        self.wfile.write(piece)
        self.server.sent += len(piece)

    def good(self):
        self.begin(length=len(self.picture))
        self.send(self.picture)

    def unnamed(self):
        self.begin("application/octet-stream")
        self.send(self.picture)

    def page(self):
        self.begin("text/html; charset=utf-8")
        self.send(self.picture)

    def typeless(self):
        self.begin(None)
        self.send(self.picture)

    def missing(self):
        self.begin(status=404)
        self.send(self.picture)

    def broken_off(self):
        self.begin(length=len(self.picture) + 1_000)
        self.send(self.picture)

    def nothing(self):
        self.begin(length=0)

    def rubbish(self):
        self.send(b"no HTTP at all\r\n\r\n")

    def silent(self):
        pass

    def endless(self, **options):
        self.begin(**options)
        while self.server.sent < ENDLESS:
            self.send(bytes(1_000_000))

    def drip(self, content):
        for byte in content:
            self.send(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.01)

    def slow_body(self):
        self.begin()
        self.drip(self.picture)  # a few hundred bytes

    def slow_headers(self):
        self.drip(b"HTTP/1.0 200 OK\r\nX-Slow: " + b"x" * 300)
        self.send(b"\r\nContent-Type: image/png\r\n\r\n" + self.picture)

    def redirects(self):
        """/redirects/3 leads to the picture by three redirects."""
        left = int(self.path.split("/")[2])
        self.begin(status=302, Location=f"/redirects/{left - 1}" if left > 1 else "/good")

    def loop(self):
        self.server.sent += 1
        self.begin(status=301, Location=self.path)

    def endless_redirect(self):
        self.endless(status=302, Location="/good")

    def to_drive(self):
        self.begin(status=302, Location="C:/coat.png")

    def to_file(self):
        self.begin(status=302, Location=(ROOT / "figures" / "01_gallery.png").as_uri())

    def to_ftp(self):
        self.begin(status=307, Location="ftp://127.0.0.1/photo.png")

    def nowhere(self):
        self.begin(status=302)

    def to_accents(self):
        self.begin(status=302, Location="/good/pantal\u00f3n azul.png")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.sent, server.left = 0, threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "path", ["good", "unnamed", "redirects/5", "good/pantalón azul.png?size=[1]#x", "to_accents"]
)
def test_pictures_are_read_from_the_web_and_not_stored(server, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_colors(read_photo(server.url + path), CORNERS, apart=0)
    assert_colors(read_photo("HTTP" + server.url[4:] + path), CORNERS, apart=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "path, found",
    [
        ("page", "announced 'text/html'"),
        ("typeless", "announced 'text/plain'"),
        ("missing", "answered 404 (Not Found)"),
        ("nowhere", "answered 302 (Found)"),
        ("broken_off", "broke off after"),
        ("nothing", "found nothing in it"),
        ("rubbish", "no proper answer"),
        ("silent", "no proper answer"),
        ("redirects/6", "at most 5 redirects"),
        ("to_drive", "starts with c:"),
        ("to_file", "starts with file:"),
        ("to_ftp", "starts with ftp:"),
    ],
)
def test_a_server_that_misbehaves_is_told_so(server, path, found):
    assert found in refusal(server.url + path)


def test_a_redirect_loop_ends(server):
    assert "at most 5 redirects" in refusal(server.url + "loop")
    assert server.sent == 6


def test_an_endless_body_is_left_early(server):
    assert "at most 20,000,000 bytes" in refusal(server.url + "endless")
    assert server.left.wait(5)
    assert server.sent < ENDLESS


def test_the_body_of_a_redirect_is_not_read(server):
    assert_colors(read_photo(server.url + "endless_redirect"), CORNERS, apart=0)
    assert server.left.wait(5)
    assert server.sent < ENDLESS


@pytest.mark.parametrize("path", ["slow_body", "slow_headers"])
def test_the_time_limit_is_for_all_bytes_together(server, monkeypatch, path):
    monkeypatch.setattr(photo_files, "DOWNLOAD_SECONDS", 0.3)  # each byte comes in time
    start = time.monotonic()
    assert "within 0.3 s" in refusal(server.url + path)
    assert time.monotonic() - start < 2  # a guard against hanging; the drip takes longer


def test_a_server_that_does_not_speak_is_left(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(photo_files, "DOWNLOAD_SECONDS", 0.2)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as deaf:  # it listens, nobody accepts
        for scheme in ("http", "https"):
            assert "within 0.2 s" in refusal(f"{scheme}://127.0.0.1:{deaf.server_port}/")


@pytest.mark.parametrize("source", ["ftp://host/photo.jpg", "file:///etc/hosts", "data:image/png,"])
def test_other_schemes_are_refused(source):
    scheme = source.partition(":")[0]
    assert f"starts with {scheme}:" in refusal(source)


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:photo.jpg",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
        "http://127.0.0.1:1/photo.jpg",  # nobody listens there
        "http://" + "x" * 70 + ".invalid/",
    ],
)
def test_addresses_without_a_server(url, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    assert "no proper answer" in refusal(url)
