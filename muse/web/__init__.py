"""The page of `muse web`: pictures from a browser.

What a page does stands in files that know nothing of Gradio: what may be asked for (`recipe`,
`catalog`), how it is made for several visitors (`studio`, `making`, `live`), where it goes
(`album`), what is found again (`shelf`). What a page looks like stands in `drawing`, `style.css`
and ``page.js``; `app` and the tabs put both together.
"""
