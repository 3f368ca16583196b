"""Garments as photographs show them: distorted pictures to train on, made-up photographs."""

import math
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import numpy as np

from garment_utils.data import Split
from garment_utils.shapes import SIDE, box_of, fit_into_square, silhouette

SOMETHING_ELSE = 10  # the label of what is none of the ten classes
TSHIRT, TROUSER, PULLOVER, DRESS, COAT, SANDAL, SHIRT, SNEAKER, BAG, BOOT = range(10)
SHOES = (SANDAL, SNEAKER, BOOT)
WITH_SLEEVES = (TSHIRT, PULLOVER, COAT, SHIRT)

# Pictures are distorted at twice their size: bending and turning them blurs less that way.
CANVAS = 2 * SIDE
CENTER = (CANVAS - 1) / 2
CHUNK = 2_750  # pictures that a process distorts at a time


def distort(part, seed, copies=1):
    """Return the pictures of a part of the data as photographs might leave them.

    Every picture is distorted anew in each copy: turned, bent, sleeves spread, two shoes beside
    each other, edges ragged, tones shifted and wrinkled. A tenth of them is turned into something
    that is none of the ten classes, with the label 10: half a garment, or a blob.

    Args:
        part: training or validation part, a Split of n garments.
        seed: int; the same seed gives the same pictures.
        copies: how often each picture is used.

    Returns:
        Split of ``copies * n`` pictures with the name of the part.

    Raises:
        ValueError: the part is the test part.
    """
    part.require("train", "validation")
    images, labels = np.tile(part.images, (copies, 1, 1)), np.tile(part.labels, copies)
    starts = range(0, len(labels), CHUNK)
    chunks = [
        (images[start : start + CHUNK], labels[start : start + CHUNK], (seed, start))
        for start in starts
    ]
    # Fresh processes: one that TensorFlow already works in must not be copied.
    workers = min(os.cpu_count() or 1, len(chunks))
    if workers > 1:
        # One OpenCV thread in each: a process for each core is faster than threads within one.
        with ProcessPoolExecutor(
            workers, get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)
        ) as pool:
            done = list(pool.map(_distort_chunk, chunks))
    else:
        done = [_distort_chunk(chunk) for chunk in chunks]
    pictures, new_labels = (np.concatenate(arrays) for arrays in zip(*done, strict=True))
    return Split(part.name, pictures, new_labels, np.tile(part.indices, copies))


def _distort_chunk(chunk):
    images, labels, seed = chunk
    distorter = Distorter(seed)
    results = [distorter(image, label) for image, label in zip(images, labels, strict=True)]
    pictures, new_labels = zip(*results, strict=True)
    return np.stack(pictures), np.array(new_labels, np.uint8)


class Distorter:
    """Distorts one picture at a time; owns the random numbers for it.

    Tones are floats from 0 to 1, masks floats from 0 to 1 too, so that both can be bent.
    """

    def __init__(self, seed, fields=400):
        """Draw ``fields`` smooth random fields of each grain, to pick from."""
        self.rng = np.random.default_rng(seed)
        self.coarse = self._fields(fields, 12)  # folds, shadows
        self.medium = self._fields(fields, 4)  # wrinkles
        self.fine = self._fields(fields, 1.5)  # weave
        self.y, self.x = np.mgrid[:CANVAS, :CANVAS].astype(np.float32)

    def __call__(self, image, label):
        """Return a distorted picture, ``(28, 28)`` uint8, and its label, which may be 10."""
        rng = self.rng
        tones = _enlarge(image.astype(np.float32) / 255)
        mask = _enlarge(silhouette(image).astype(np.float32))
        if rng.random() < 0.5:
            tones, mask = tones[:, ::-1].copy(), mask[:, ::-1].copy()
        tones = _continue_outside(tones, mask)
        if rng.random() < 0.1:
            tones, mask = self.something_else(tones, mask, label)
            label = SOMETHING_ELSE
        elif label in WITH_SLEEVES and rng.random() < 0.6:
            tones, mask = self.spread_sleeves(tones, mask, label)
        if label in SHOES and rng.random() < 0.5:
            from_above = rng.random() < 0.4
            if from_above:
                tones, mask = self.shoe_from_above(tones)
            tones, mask = self.pair_of_shoes(tones, mask, upright=from_above)
        elif label in SHOES and rng.random() < 0.4:
            tones, mask = self.bend(tones, mask, turn=rng.uniform(-180, 180))
        elif label == BAG:
            # Bags are stiff. If they were bent, whatever has no sleeves and no legs would be a bag.
            tones, mask = self.bend(tones, mask, turn=rng.normal(0, 5), strength=0.5)
        else:
            # Dresses lie wider on a floor than they hang on a model.
            widen = math.exp(rng.normal(0.3, 0.22)) if label == DRESS else 1.0
            turn, flare = rng.normal(0, 9), rng.normal(0, 0.15)
            tones, mask = self.bend(tones, mask, turn=turn, flare=flare, widen=widen)
        mask = self.ragged(mask)
        tones = self.relight(tones, mask)
        picture = fit_into_square(tones, mask)
        return (255 * np.clip(picture, 0, 1)).round().astype(np.uint8), label

    def bend(self, tones, mask, turn=0.0, flare=0.0, widen=1.0, strength=2.0):
        """Turn a garment by so many degrees, widen its lower end, change its aspect, bend it."""
        rng = self.rng
        angle = math.radians(turn)
        # Zoomed out: what is turned must not leave the canvas.
        zoom = 1.45 if abs(turn) > 20 else 1.15
        x, y = (self.x - CENTER) * zoom, (self.y - CENTER) * zoom
        aspect = math.exp(rng.normal(0, 0.125)) / math.sqrt(widen)
        across, down = _turned(x, y, angle)
        across, down = across * aspect, down / aspect
        across = across / (1 + flare * down / CENTER) + rng.normal(0, 0.08) * down
        strength = abs(rng.normal(0, strength))  # pixels
        from_x = across + CENTER + strength * self._waves()
        from_y = down + CENTER + strength * self._waves()
        return _remap(tones, from_x, from_y), _remap(mask, from_x, from_y)

    def spread_sleeves(self, tones, mask, label):
        """Turn what is beside the body outward about the shoulders, as sleeves lie on a floor."""
        rng = self.rng
        rows, _ = box_of(mask > 0.5)
        top, height = rows.start, rows.stop - rows.start
        if height < 20:
            return tones, mask
        widths = (mask > 0.5).sum(axis=1)[rows]
        chest = max(3.0, float(np.median(widths[height // 5 : height // 3])) / 2)
        hem = max(3.0, float(np.median(widths[7 * height // 10 : 9 * height // 10])) / 2)
        # Long sleeves hang down beside the body; short ones end above the hem, which is as wide
        # as the body.
        long = label in (PULLOVER, COAT) or (label == SHIRT and chest < 1.2 * hem)
        body = chest * rng.uniform(0.5, 0.7) if long else hem * rng.uniform(0.95, 1.05)
        spread = math.radians(rng.uniform(0, 75) if long else rng.uniform(-10, 35))
        shoulder = top + height * rng.uniform(0.05, 0.2)
        length = rng.uniform(0.85, 1.15)

        half = CANVAS // 2  # spread sleeves need room on both sides
        wide_tones, wide_mask = (np.pad(array, ((0, 0), (half, half))) for array in (tones, mask))
        y, x = np.mgrid[: wide_mask.shape[0], : wide_mask.shape[1]].astype(np.float32)
        middle = CENTER + half
        if label == COAT and rng.random() < 0.2:  # a vest
            spread, wide_mask = 0.0, np.where(abs(x - middle) <= 1.1 * body, wide_mask, 0)
        new_tones, new_mask = wide_tones, np.where(abs(x - middle) <= body, wide_mask, 0)
        for side in (-1, 1):
            angle = spread * (rng.uniform(0.85, 1.15) if rng.random() < 0.85 else rng.random())
            out, down = (x - middle) * side - body, y - shoulder
            from_out, from_down = (part / length for part in _turned(out, down, -angle))
            from_x, from_y = middle + side * (body + from_out), shoulder + from_down
            is_sleeve = (from_out >= -0.8) & ((x - middle) * side > 0)
            sleeve_mask = np.where(is_sleeve, _remap(wide_mask, from_x, from_y), 0)
            sleeve_tones = _remap(wide_tones, from_x, from_y)
            new_tones = np.where(sleeve_mask > new_mask, sleeve_tones, new_tones)
            new_mask = np.maximum(new_mask, sleeve_mask)
        if not (new_mask > 0.5).any():
            return tones, mask
        return _fit_canvas(new_tones, new_mask)

    def shoe_from_above(self, tones):
        """Draw the outline of a shoe as its owner sees it, in the tones of one seen from the side.

        All shoes of the data are seen from the side; people photograph theirs from above.
        """
        rng = self.rng
        half_length, half_width = 26.0, rng.uniform(7, 11)
        along = (self.y - CENTER) / half_length  # from -1 at the toe to 1 at the heel
        waist = 1 - rng.uniform(0.1, 0.3) * np.exp(-(((along - 0.2) / 0.35) ** 2))
        roundness = rng.uniform(2, 4)
        outline = half_width * waist * np.clip(1 - abs(along) ** roundness, 0, 1) ** (1 / roundness)
        mask = (abs(self.x - CENTER) < outline).astype(np.float32)
        # The opening for the foot, down to the heel; of a sandal most of the sole.
        start = rng.uniform(-0.7, 0.2)
        middle, reach = (start + 0.9) / 2, (0.9 - start) / 2
        opening = ((along - middle) / reach) ** 2 + (
            (self.x - CENTER) / (0.7 * half_width)
        ) ** 2 < 1
        change = rng.uniform(0.15, 0.5) * rng.choice([-1, 1])
        return (tones + change * opening).astype(np.float32), mask

    def pair_of_shoes(self, tones, mask, upright=False):
        """Put two copies of a shoe beside each other or one behind the other, as pairs stand.

        ``upright`` shoes already point up; others are mostly turned so, as when seen from above.
        """
        rng = self.rng
        turn = 0 if upright else rng.choice([90, -90, 0])
        if rng.random() < 0.2:
            turn = rng.uniform(-180, 180)
        lengthwise = abs(turn) > 45  # what mirrors a shoe into that of the other foot
        turn += rng.normal(0, 12)
        # Room for two shoes one below the other, and for more than two beside each other.
        field, field_mask = np.zeros((2, 3 * CANVAS, 4 * CANVAS), np.float32)
        top = left = CANVAS
        for number in (0, 1):
            shoe, shoe_mask = tones, mask
            if number == 1 and rng.random() < 0.6:  # the other foot's
                axis = 0 if lengthwise else 1
                shoe, shoe_mask = np.flip(shoe, axis), np.flip(shoe_mask, axis)
            shoe, shoe_mask = self.bend(shoe, shoe_mask, turn=turn + rng.normal(0, 8))
            if not (shoe_mask > 0.5).any():
                continue
            box = box_of(shoe_mask > 0.5)
            shoe, shoe_mask = shoe[box], shoe_mask[box]
            height, width = shoe.shape
            if number == 1 and height >= 0.9 * width:
                left += int(width * rng.uniform(0.75, 1.2))
                top += int(rng.normal(0, 4))
            elif number == 1:
                top += int(height * rng.uniform(0.5, 1.05))
                left += int(rng.normal(0, 6))
            place = slice(top, top + height), slice(left, left + width)
            field[place] = np.where(shoe_mask > field_mask[place], shoe, field[place])
            field_mask[place] = np.maximum(field_mask[place], shoe_mask)
        if not (field_mask > 0.5).any():
            return tones, mask
        return _fit_canvas(field, field_mask)

    def something_else(self, tones, mask, label):
        """Make what is none of the ten classes: upper trousers, lower dresses, blobs."""
        rng = self.rng
        rows, _ = box_of(mask > 0.5)
        height = rows.stop - rows.start
        if label in (TROUSER, DRESS, *WITH_SLEEVES) and height > 20:
            part = int(height * rng.uniform(0.3, 0.55))
            mask = mask.copy()
            if label == TROUSER:
                mask[rows.start + part :] = 0  # shorts
            else:
                mask[: rows.stop - part] = 0  # a skirt, a towel
            return tones, mask
        blob = np.zeros_like(mask)
        for _ in range(rng.integers(1, 4)):
            half_x, half_y = rng.uniform(6, 18, 2)
            angle = math.radians(rng.uniform(0, 180))
            x, y = self.x - CENTER - rng.normal(0, 6), self.y - CENTER - rng.normal(0, 6)
            across, down = _turned(x, y, angle)
            corners = rng.choice([2, 4])  # an ellipse, or nearly a rectangle
            blob[abs(across / half_x) ** corners + abs(down / half_y) ** corners < 1] = 1
        if rng.random() < 0.4:
            blob[int(rng.uniform(26, 36)) :] = 0  # cut off straight: a cap, a bowl
        if blob.sum() < 80:
            blob[20:40, 20:40] = 1
        texture = rng.uniform(0.2, 0.9) + rng.uniform(0, 0.25) * self._pick(self.coarse)
        texture = texture + rng.uniform(0, 0.2) * self._pick(self.medium)
        return np.clip(texture, 0, 1).astype(np.float32), blob

    def ragged(self, mask):
        """Return a mask as a search for the garment leaves it: bitten, bumpy, rough."""
        rng = self.rng
        noise = 0.2 * rng.random() * self._pick(self.medium)
        noise = noise + 0.07 * rng.random() * self._pick(self.fine)
        near = cv2.GaussianBlur(mask, (0, 0), 2.5) > 0.03
        for candidate in ((mask + noise > 0.5) & near, mask > 0.5, mask > 0):
            if candidate.sum() >= 60:
                return candidate
        return np.ones(mask.shape, bool)

    def relight(self, tones, mask):
        """Change tones as light, cloth and camera do: negative, brighter, folded, blurred."""
        rng = self.rng
        if rng.random() < 0.1:
            tones = 1 - tones
        mean, contrast = tones[mask].mean(), math.exp(rng.normal(0, 0.4))
        tones = rng.uniform(0.25, 0.85) + (tones - mean) * contrast
        for fields, strength in ((self.coarse, 0.12), (self.medium, 0.12), (self.fine, 0.084)):
            tones = tones + strength * rng.random() * self._pick(fields)
        tones = np.clip(tones, 0.04, 1)
        if rng.random() < 0.5:
            tones = np.where(mask, tones, tones[mask].mean())
            tones = cv2.GaussianBlur(tones.astype(np.float32), (0, 0), rng.uniform(0.5, 1.6))
        return tones

    def _fields(self, count, grain):
        fields = self.rng.normal(size=(count, CANVAS, CANVAS)).astype(np.float32)
        fields = np.stack([cv2.GaussianBlur(field, (0, 0), grain) for field in fields])
        return fields / fields.std()

    def _waves(self):
        return self._pick(self.coarse) + 0.4 * self._pick(self.medium)

    def _pick(self, fields):
        field = fields[self.rng.integers(len(fields))]
        field = field[:, ::-1] if self.rng.random() < 0.5 else field
        return field[::-1] if self.rng.random() < 0.5 else field


def _enlarge(image):
    return cv2.resize(image, (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR)


def _turned(x, y, angle):
    """Return coordinates in axes that are turned by an angle, in radians."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return cosine * x + sine * y, -sine * x + cosine * y


def _remap(array, from_x, from_y):
    from_x, from_y = from_x.astype(np.float32), from_y.astype(np.float32)
    return cv2.remap(np.ascontiguousarray(array), from_x, from_y, cv2.INTER_LINEAR)


def _continue_outside(tones, mask):
    """Let the tones go on outside the garment: no dark rim where edge and background mix."""
    inner = cv2.erode(mask, np.ones((5, 5))) > 0.6
    near = cv2.GaussianBlur(tones * mask, (0, 0), 2)
    weight = cv2.GaussianBlur(mask, (0, 0), 2)
    return np.where(inner, tones, near / np.maximum(weight, 1e-3)).astype(np.float32)


def _fit_canvas(tones, mask):
    """Cut a garment out of any field and fit its longest edge into the canvas, aspect kept."""
    box = box_of(mask > 0.5)
    tones, mask = tones[box], mask[box]
    edge = max(mask.shape)
    top, left = (edge - mask.shape[0]) // 2, (edge - mask.shape[1]) // 2
    square = np.zeros((2, edge, edge), np.float32)
    square[:, top : top + mask.shape[0], left : left + mask.shape[1]] = tones, mask
    return _enlarge(square[0]), _enlarge(square[1])


def photograph(image, rng, height=240, width=200):
    """Make up a photograph of a garment of Fashion-MNIST: colored cloth on a floor, tilted, lit.

    It stands in for real photographs, of which the project has none: the garment is one of the
    data, enlarged, everything around it is drawn.

    Args:
        image: ``(28, 28)`` uint8, 0 = background.
        rng: NumPy Generator.
        height, width: of the photograph, in pixels.

    Returns:
        ``(height, width, 3)`` uint8, RGB.
    """
    scale = rng.uniform(0.6, 0.88) * width / SIDE
    place = cv2.getRotationMatrix2D((13.5, 13.5), rng.normal(0, 8), scale)
    place[:, 2] += width / 2 - 13.5 + rng.normal(0, 6), height / 2 - 13.5 + rng.normal(0, 8)
    size = (width, height)
    tones = cv2.warpAffine(image.astype(np.float32), place, size, flags=cv2.INTER_CUBIC)
    mask = cv2.warpAffine(silhouette(image).astype(np.float32), place, size)
    mask = np.clip(4 * (cv2.GaussianBlur(mask, (0, 0), 1.5) - 0.5) + 0.5, 0, 1)
    # A bright pixel of Fashion-MNIST was dark cloth.
    brightness = 30 + 205 * np.clip(1 - tones / 255, 0, 1)
    color = rng.uniform(60, 255, 3)
    cloth = brightness[..., None] * (0.35 + 0.65 * color / color.max())
    cloth += 4 * _smooth_noise(rng, height, width, 2)[..., None]
    shift = int(rng.integers(2, 7)), int(rng.integers(-5, 6))
    shadow = cv2.GaussianBlur(np.roll(mask, shift, axis=(0, 1)), (0, 0), 4) * rng.uniform(0.1, 0.45)
    floor = _floor(rng, height, width) * (1 - shadow[..., None])
    photo = floor * (1 - mask[..., None]) + cloth * mask[..., None]
    photo += rng.normal(0, 3, photo.shape)
    return np.clip(photo, 0, 255).astype(np.uint8)


def _floor(rng, height, width):
    """Draw a plain, planked, tiled, clothed or carpeted floor, unevenly lit."""
    kind = rng.choice(["plain", "planks", "tiles", "cloth", "carpet"])
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = np.deg2rad(rng.choice([0, 90]) + rng.normal(0, 8))
    across, along = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    relief = np.zeros((height, width), np.float32)
    if kind == "planks":
        relief += 12 * np.sin(12.9 * np.floor(across / rng.uniform(25, 60)))
        relief += 6 * _smooth_noise(rng, height, width, 3)
    elif kind == "tiles":
        tile = rng.uniform(50, 110)
        relief -= rng.uniform(10, 35) * ((across % tile < 2) | (along % tile < 2))
    elif kind == "cloth":
        relief += 14 * _smooth_noise(rng, height, width, 14)
    elif kind == "carpet":
        relief += 14 * _smooth_noise(rng, height, width, 1.2)
        relief += 8 * _smooth_noise(rng, height, width, 5)
    light = rng.uniform(-25, 25) * (x / width - 0.5) + rng.uniform(-25, 25) * (y / height - 0.5)
    return rng.uniform(40, 230, 3) + (relief + light)[..., None]


def _smooth_noise(rng, height, width, grain):
    noise = cv2.GaussianBlur(rng.normal(size=(height, width)).astype(np.float32), (0, 0), grain)
    return noise / noise.std()
