//! `heapwarden report --format html`, by clicking in a headless Chromium.
//! Where there is none, the tests say that they are skipped.

mod browser;
mod common;

use browser::Page;
use common::{heapwarden, sample_files, stdout_of};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Runs a test with a page, or says that it cannot.
fn with_page(files: &[&Path], page: &Path, test: impl FnOnce(&mut Page)) {
    let mut command = heapwarden();
    command.args(["report", "--format", "html", "-o"]).arg(page).args(files);
    assert_eq!(stdout_of(&mut command), "");
    match Page::open(page) {
        Some(mut page) => test(&mut page),
        None => eprintln!("SKIPPED: no Chromium here (apt-get install chromium-headless-shell)"),
    }
}

fn page_in(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("page.html")
}

#[test]
fn a_click_on_a_site_shows_its_stack_and_source() {
    let (directory, report, _) = sample_files();
    with_page(&[&report], &page_in(&directory), |page| {
        assert!(page.text("#panel").contains("a freed block was written"), "the worst is open");
        assert!(page.text("#panel").contains("freed here by thread 1"));
        page.click("#totals [data-kind=definite]");
        assert_eq!(page.text("#shown"), "1 of 8 sites");
        page.click(".row");
        let panel = page.text("#panel");
        assert!(panel.contains("definite: 300 bytes in 2 block(s) are lost"), "{panel}");
        assert!(panel.contains("void *lost = malloc(14);"), "{panel}");
        assert!(page.text("#panel .here").contains("malloc(14)"));
        let lines = page.value(
            "[...document.querySelector('#panel pre').children].map((line) => line.offsetTop)",
        );
        let tops: Vec<u64> =
            lines.as_array().unwrap().iter().filter_map(|top| top.as_u64()).collect();
        assert!(tops.len() == 6 && tops.is_sorted_by(|a, b| a < b), "a line each: {tops:?}");
        page.click("#totals [data-kind=definite]");
        assert_eq!(page.text("#shown"), "8 of 8 sites", "a second click takes the filter off");
    });
}

#[test]
fn columns_sort_and_the_search_narrows() {
    let (directory, report, _) = sample_files();
    with_page(&[&report], &page_in(&directory), |page| {
        let bytes = |page: &mut Page| {
            page.value(
                "[...document.querySelectorAll('.row')].sort((a, b) => a.dataset.index - b.dataset.index)\
                 .map((row) => Number(row.children[1].textContent.replaceAll(',', '')))",
            )
            .as_array()
            .unwrap()
            .iter()
            .map(|number| number.as_u64().unwrap())
            .collect::<Vec<_>>()
        };
        page.click("[data-column=bytes]");
        let down = bytes(page);
        assert!(down.is_sorted_by(|a, b| a >= b) && down.len() == 8, "{down:?}");
        page.click("[data-column=bytes]");
        assert!(bytes(page).is_sorted());
        page.click("#search");
        page.type_text("hidden copy_name");
        page.wait_for("document.querySelector('#shown').textContent === '1 of 8 sites'");
        page.click(".row");
        assert!(page.text("#panel").contains("held by global list"));
        assert_eq!(page.value("document.querySelectorAll('#panel .bar').length"), 3);
        page.click("#search");
        page.type_text(" nowhere");
        page.wait_for("document.querySelector('#shown').textContent === '0 of 8 sites'");
    });
}

#[test]
fn the_flame_graph_zooms_and_the_treemap_shows_holders() {
    let (directory, report, other) = sample_files();
    with_page(&[&report, &other], &page_in(&directory), |page| {
        assert_eq!(page.value("document.querySelector('#flame').hidden"), true);
        page.click("[data-view=flame]");
        assert_eq!(page.value("document.querySelector('#flame').hidden"), false);
        assert!(page.text("#flame-info").starts_with("all: 2.6 KiB"), "450 + 900 twice");
        page.click(".box[title^='main']");
        assert!(page.text("#flame-info").starts_with("main: "));
        page.click("#flame-reset");
        assert!(page.text("#flame-info").starts_with("all: "));
        page.value(
            "(() => { const s = document.querySelector('#flame-kind'); s.value = 'definite'; \
             s.dispatchEvent(new Event('change')); })()",
        );
        assert_eq!(page.text("#flame-info"), "definite: 600 bytes");

        page.click("[data-view=holders]");
        let boxes = page.value("document.querySelectorAll('#holders .tree .box').length");
        assert_eq!(boxes, 2);
        assert!(page.text("#holders .box").contains("copy_name"));
        page.click("[data-view=growth]");
        assert!(page.text("#growth").contains("Bytes over 2 checks"), "two summaries");
    });
}

#[test]
fn what_a_report_holds_is_never_markup() {
    let (directory, report, _) = sample_files();
    let text = fs::read_to_string(&report).unwrap();
    let evil = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>";
    let text = text.replace("copy_name", evil);
    fs::write(&report, text).unwrap();
    with_page(&[&report], &page_in(&directory), |page| {
        assert!(page.text("#panel").contains(evil));
        assert_eq!(page.value("document.title"), "heapwarden report");
        assert_eq!(page.value("document.querySelectorAll('img, #panel script').length"), 0);
        page.click("#theme");
        let theme = page.value("document.documentElement.dataset.theme");
        assert!(theme == "dark" || theme == "light");
    });
}

#[test]
fn a_hundred_thousand_sites_open_and_only_what_is_seen_is_drawn() {
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("large.json");
    let mut out = std::io::BufWriter::new(fs::File::create(&report).unwrap());
    for site in 0..100_000 {
        let frames: Vec<String> = (0..8)
            .map(|depth| {
                let number = if depth == 0 { site } else { site % (10 * depth * depth) };
                format!(
                    r#"{{"function":"function_{depth}_{number}","file":"/src/file{depth}.c","line":{},"module":"/bin/app","offset":"{number:#x}"}}"#,
                    number % 1000 + 1
                )
            })
            .collect();
        writeln!(
            out,
            r#"{{"v":1,"type":"leak","pid":1,"time":"t","kind":"definite","blocks":1,"bytes":{},"stack":[{}]}}"#,
            site + 1,
            frames.join(",")
        )
        .unwrap();
    }
    out.into_inner().unwrap();
    let page = page_in(&directory);
    with_page(&[&report], &page, |page| {
        let ready = page.value("Number(document.documentElement.dataset.ready)").as_u64().unwrap();
        // Printed, not judged: a busy machine is no fault of the page (the aim
        // is 2 s). What makes it quick is judged: few rows are ever made.
        eprintln!("100,000 sites: ready after {ready} ms");
        assert_eq!(page.text("#shown"), "100,000 of 100,000 sites");
        assert!(page.value("document.querySelectorAll('.row').length").as_u64().unwrap() < 100);
        page.value("document.querySelector('#rows').scrollTop = 1e6");
        page.wait_for("Number(document.querySelector('.row').dataset.index) > 30000");
    });
}
