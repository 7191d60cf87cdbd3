//! JUnit XML: each site is a test case that failed (or, for what should not
//! break a build, passed with its text as output).

use crate::sites::{Group, Site, Sites};
use anyhow::Result;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::fmt::Write as _;
use std::io::Write;

/// Writes one suite for each group of findings; a clean report is one test
/// that passed.
pub fn write(sites: &Sites, out: &mut dyn Write) -> Result<()> {
    let mut report = Report::new("heapwarden");
    for (group, name) in [
        (Group::Error, "heap errors"),
        (Group::Leak, "leaks"),
        (Group::HiddenLeak, "hidden leaks"),
        (Group::Warning, "warnings"),
        (Group::Exhaustion, "exhaustion"),
    ] {
        let mut suite = TestSuite::new(name);
        for site in sites.list.iter().filter(|site| site.group == group) {
            suite.add_test_case(test_case(site));
        }
        if !suite.test_cases.is_empty() {
            report.add_test_suite(suite);
        }
    }
    if sites.list.is_empty() {
        let mut suite = TestSuite::new("heap");
        suite.add_test_case(TestCase::new("nothing was found", TestCaseStatus::success()));
        report.add_test_suite(suite);
    }
    report.serialize(out)?;
    Ok(())
}

fn test_case(site: &Site) -> TestCase {
    let mut text = String::new();
    for (number, frame) in site.stack.iter().enumerate() {
        let location = frame.location().unwrap_or_default();
        let _ = writeln!(text, "    #{number} {} {location}", frame.name());
    }
    let mut case = if site.is_failure() {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(site.title()).set_type(site.kind.clone()).set_description(text);
        TestCase::new(name(site), status)
    } else {
        let mut case = TestCase::new(name(site), TestCaseStatus::success());
        case.set_system_out(format!("{}\n{text}", site.title()));
        case
    };
    let module = site.place().and_then(|frame| frame.module.clone()).unwrap_or_default();
    case.set_classname(format!("heapwarden.{}.{}", site.kind, crate::record::base_name(&module)));
    case
}

fn name(site: &Site) -> String {
    match site.place() {
        Some(frame) => match frame.location() {
            Some(location) => format!("{} in {} ({location})", site.kind, frame.name()),
            None => format!("{} in {}", site.kind, frame.name()),
        },
        None => site.kind.clone(),
    }
}
