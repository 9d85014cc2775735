from tests.data.tracks.documented import BEGIN, END, PAGE, table


def test_the_page_tells_what_becomes_of_every_input() -> None:
    documented = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert documented == table()
