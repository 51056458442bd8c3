"""The table of data sets: what each one is and where it comes from. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.errors import DataError

#: The parts of a data set that has its own split, in the order of `DataSet.inputs`.
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class File:
    """A file that is downloaded.

    Attributes:
        url: https.
        sha256: of the file's bytes, or of what gzip unpacks it to.
        sha256_of: which of the two; distributors have compressed some files anew.
        size: bytes of the file.
        part: which part of the data set is in it; None: more than one.
        folder: where in the archive the class folders lie.
    """

    url: str
    sha256: str
    sha256_of: Literal["file", "unpacked"] = "file"
    size: int
    part: Part | None = None
    folder: str = ""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set.

    Attributes:
        name: what recipes call it.
        title: what it is, in a line.
        homepage: empty where it has none.
        license: of the pictures, or what is known of it.
        classes: their names in the order of the output; none for a regression.
        train, validation, test: number of pictures; 0 where it has no such set of its own.
        layout: how it is packed, which decides who reads it.
        files: what is downloaded; none where it comes with a library or is computed.
        skip_bad: it is known to hold files that are no pictures: they are always left out.
        note: what else to know.
    """

    name: str
    title: str
    homepage: str
    license: str
    classes: tuple[str, ...]
    train: int
    validation: int = 0
    test: int = 0
    layout: Literal["class folders", "npz", "idx", "pickles", "built in"]
    files: tuple[File, ...] = ()
    skip_bad: bool = False
    note: str = ""


_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
_TENSORFLOW = "https://storage.googleapis.com/download.tensorflow.org"
_MORONEY = "https://laurencemoroney.com/datasets.html"
_DIGITS = tuple(str(digit) for digit in range(10))

_TABLE = (
    Source(
        name="mnist",
        title="handwritten digits, grey, 28×28",
        homepage="https://keras.io/api/datasets/mnist/",
        license="CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        classes=_DIGITS,
        train=60_000,
        test=10_000,
        layout="npz",
        files=(
            File(
                url=f"{_KERAS}/mnist.npz",
                sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
                size=11_490_434,
            ),
        ),
    ),
    Source(
        name="fashion-mnist",
        title="Zalando's articles of clothing, grey, 28×28",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        license="MIT, Zalando SE",
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        train=60_000,
        test=10_000,
        layout="idx",
        files=(
            File(
                url=f"{_KERAS}/train-images-idx3-ubyte.gz",
                sha256="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                sha256_of="unpacked",
                size=26_421_880,
                part="train",
            ),
            File(
                url=f"{_KERAS}/train-labels-idx1-ubyte.gz",
                sha256="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                sha256_of="unpacked",
                size=29_515,
                part="train",
            ),
            File(
                url=f"{_KERAS}/t10k-images-idx3-ubyte.gz",
                sha256="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                sha256_of="unpacked",
                size=4_422_102,
                part="test",
            ),
            File(
                url=f"{_KERAS}/t10k-labels-idx1-ubyte.gz",
                sha256="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                sha256_of="unpacked",
                size=5_148,
                part="test",
            ),
        ),
        note="also from Debian's package dataset-fashion-mnist, installed or fetched with apt-get",
    ),
    Source(
        name="cifar10",
        title="small photographs of animals and vehicles, 32×32",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        license="none named; Alex Krizhevsky's report of 2009 is to be cited",
        classes=(
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        train=50_000,
        test=10_000,
        layout="pickles",
        files=(
            File(
                url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
                size=170_498_071,
                folder="cifar-10-batches-py",
            ),
        ),
    ),
    Source(
        name="flowers",
        title="photographs of flowers",
        homepage="https://www.tensorflow.org/tutorials/load_data/images",
        license="CC BY 2.0, many photographers: LICENSE.txt in the archive names each",
        classes=("daisy", "dandelion", "roses", "sunflowers", "tulips"),
        train=3_670,
        layout="class folders",
        files=(
            File(
                url=f"{_TENSORFLOW}/example_images/flower_photos.tgz",
                sha256="4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
                size=228_813_984,
                part="train",
                folder="flower_photos",
            ),
        ),
        note="633 daisies, 898 dandelions, 641 roses, 699 sunflowers, 799 tulips",
    ),
    Source(
        name="cats-vs-dogs",
        title="photographs of cats and dogs (Asirra)",
        homepage="https://www.microsoft.com/en-us/download/details.aspx?id=54765",
        license="none named; Microsoft Research",
        classes=("Cat", "Dog"),
        train=25_000,
        layout="class folders",
        files=(
            File(
                url="https://download.microsoft.com/download/3/E/1/"
                "3E1C3F21-ECDB-4869-8368-6DEBA77B919F/kagglecatsanddogs_5340.zip",
                sha256="b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
                size=824_887_076,
                part="train",
                folder="PetImages",
            ),
        ),
        skip_bad=True,
        note="12,500 files each; Cat/666.jpg and Dog/11702.jpg are no pictures and are left out",
    ),
    Source(
        name="horses-or-humans",
        title="rendered pictures of horses and humans, 300×300",
        homepage=_MORONEY,
        license="CC BY 2.0, Laurence Moroney",
        classes=("horses", "humans"),
        train=1_027,
        validation=256,
        layout="class folders",
        files=(
            File(
                url=f"{_TENSORFLOW}/data/horse-or-human.zip",
                sha256="e2e6f70d3d549c5dd10a57165e55af253ee66ad750403f95c0fb76bb943633a9",
                size=149_574_867,
                part="train",
            ),
            File(
                url=f"{_TENSORFLOW}/data/validation-horse-or-human.zip",
                sha256="ae5fff2f4f5554791f05358108e2e05d9801b191f1896ea101402f0e7f6c32c0",
                size=11_480_187,
                part="validation",
            ),
        ),
        note="500 horses and 527 humans to learn from, 128 each to validate: half of these are the"
        " test set",
    ),
    Source(
        name="rock-paper-scissors",
        title="rendered pictures of hands, 300×300",
        homepage=_MORONEY,
        license="CC BY 2.0, Laurence Moroney",
        classes=("paper", "rock", "scissors"),
        train=2_520,
        test=372,
        layout="class folders",
        files=(
            File(
                url=f"{_TENSORFLOW}/data/rps.zip",
                sha256="c2403444395842ad04c53612bad54b574443eae17a0723117a2ff87b9d72194f",
                size=200_682_221,
                part="train",
                folder="rps",
            ),
            File(
                url=f"{_TENSORFLOW}/data/rps-test-set.zip",
                sha256="c27ab9fa43ce40b2e453de711365b477f4424586edf0388116674fd320f07503",
                size=29_516_758,
                part="test",
                folder="rps-test-set",
            ),
        ),
        note="840 of each to learn from, 124 of each to test",
    ),
    Source(
        name="digits",
        title="handwritten digits, grey, 8×8, with scikit-learn",
        homepage="https://archive.ics.uci.edu/dataset/80",
        license="CC BY 4.0, E. Alpaydin and C. Kaynak",
        classes=_DIGITS,
        train=1_797,
        layout="built in",
        note="needs no download",
    ),
    Source(
        name="photographs",
        title="pieces of scikit-learn's two sample photographs",
        homepage="https://scikit-learn.org/stable/datasets/loading_other_datasets.html",
        license="CC BY 2.0, flickr.com/photos/danielbuechele (china) and …/vultilion (flower)",
        classes=("china", "flower"),
        train=16,
        test=8,
        layout="built in",
        note="needs no download; for networks that are looked at, not fitted",
    ),
    Source(
        name="line",
        title="six points of y = 2x − 1",
        homepage="",
        license="none needed",
        classes=(),
        train=6,
        test=1,
        layout="built in",
        note="x = −1, 0, 1, 2, 3, 4; the test is x = 10, whose y is 19",
    ),
)

SOURCES: dict[str, Source] = {source.name: source for source in _TABLE}


def find(name: str) -> Source:
    """Returns the data set of that name.

    Raises:
        DataError: there is none; the text lists those that there are.
    """
    if name not in SOURCES:
        raise DataError(f"no data set {name!r}; there are {', '.join(sorted(SOURCES))}")
    return SOURCES[name]
