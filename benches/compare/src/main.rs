//! The command behind `benches/run`: prepares, runs all passes, writes the table.

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;
use compare::{
    args::{Args, HELP},
    load::Part,
    machine,
    pass::Bench,
    plan::{self, Estimate, Step},
    prepare::{self, Program},
    report::Report,
    servers::{Dress, Server},
    soak::{Amount, Soak},
    stop::{Stop, Stopped},
    wire::{Hold, ITEM_LEN, LARGE_LEN},
};
use serde_json::json;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error:#} (see --help)");
            return ExitCode::from(2);
        }
    };
    match run(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True when everything asked for was measured.
fn run(mut args: Args) -> Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()?;
    let results = root.join("target/bench");
    machine::raise_file_limit(args.load.sizes.last().copied().unwrap_or(0))?;
    let mut notes = Vec::new();
    // Looked at before the builds, which make the machine busy themselves.
    warn_when_busy(&mut notes);
    let programs = programs(&mut args, &root, &mut notes);
    if args.soak {
        return soak(&args, &programs, &root);
    }
    let versions: Vec<_> = programs
        .iter()
        .map(|program| (program.kind.name().to_owned(), program.version.clone()))
        .collect();
    let complete = notes.iter().all(|note| !note.starts_with("left out"));
    let mut report = Report {
        samples: Vec::new(),
        others: Vec::new(),
        notes,
        machine: machine::describe(&root, &versions),
        servers: args.servers.clone(),
        settings: json!({
            "quick": args.quick, "passes": args.passes, "streams": args.load.sizes,
            "seconds_per_measurement": args.load.time.as_secs_f64(),
            "item_bytes": [ITEM_LEN, LARGE_LEN],
        }),
    };
    let good = measure(&args, &programs, &results, &mut report)?;
    report.write(&results)?;
    print!("{}", report.markdown());
    eprintln!("written to {}", results.join("results.md").display());
    Ok(good && complete)
}

/// Whether memory stays flat, of each server asked for; true when all was done, and it does.
fn soak(args: &Args, programs: &[Program], root: &Path) -> Result<bool> {
    let stop = Stop::watch(args.limit)?;
    let mut good = !programs.is_empty();
    for program in programs {
        eprintln!("{} ({})", program.kind, program.version);
        let mut soak = Soak {
            stop: &stop,
            readings: Vec::new(),
        };
        let server = Server::start(program.kind, &program.path, Dress::SHIPPED, &stop)?;
        let outcome = soak.run(&server, Amount::new(args.quick));
        let version = (program.kind.name().to_owned(), program.version.clone());
        let machine = machine::describe(root, &[version]);
        print!("{}", soak.write(&root.join("target/bench"), &machine)?);
        outcome?;
        good &= soak.verdicts().iter().all(|one| one.good);
    }
    Ok(good)
}

fn warn_when_busy(notes: &mut Vec<String>) {
    let load = machine::load();
    if load > machine::BUSY_LOAD {
        let note = format!("the machine was busy before the run (load {load}): expect spread");
        eprintln!("WARNING: {note}");
        notes.push(note);
    }
}

/// The programs of the servers asked for; those that cannot be had leave `args`.
fn programs(args: &mut Args, root: &Path, notes: &mut Vec<String>) -> Vec<Program> {
    let mut found = Vec::new();
    for kind in args.servers.clone() {
        match prepare::program(kind, root) {
            Ok(program) => found.push(program),
            Err(error) => {
                eprintln!("WARNING: {kind} is left out: {error:#}");
                notes.push(format!("left out: {kind}: {error:#}"));
                args.servers.retain(|other| *other != kind);
            }
        }
    }
    found
}

/// Runs all steps; false when one failed or the run was stopped.
fn measure(args: &Args, programs: &[Program], results: &Path, report: &mut Report) -> Result<bool> {
    let stop = Stop::watch(args.limit)?;
    let steps = plan::steps(args);
    let mut estimate = Estimate::default();
    let mut failed = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let Some(program) = programs.iter().find(|program| program.kind == step.kind) else {
            continue;
        };
        // Once may be bad luck.
        let failures = failed.iter().filter(|of| **of == (step.kind, step.part));
        if failures.count() >= 2 {
            continue;
        }
        let left = estimate.of(&steps[number..], args);
        eprintln!(
            "[{}/{}] {}; about {} left",
            number + 1,
            steps.len(),
            told(*step),
            time(left)
        );
        let start = Instant::now();
        let outcome = carry_out(*step, args, program, &stop, report);
        estimate.note(*step, start);
        report.write(results)?;
        let Err(error) = outcome else { continue };
        eprintln!("WARNING: {}: {error:#}", told(*step));
        report
            .notes
            .push(format!("{}: {:#}", told(*step), error.root_cause()));
        if error.root_cause().is::<Stopped>() {
            return Ok(false);
        }
        failed.push((step.kind, step.part));
    }
    Ok(failed.is_empty())
}

fn carry_out(
    step: Step,
    args: &Args,
    program: &Program,
    end: &Stop,
    report: &mut Report,
) -> Result<()> {
    end.check()?;
    let mut bench = Bench {
        pass: step.pass,
        kind: step.kind,
        program: &program.path,
        load: &args.load,
        stop: end,
        samples: &mut report.samples,
        others: &mut report.others,
        notes: &mut report.notes,
    };
    bench.run(step.part)
}

fn told(step: Step) -> String {
    let part = match step.part {
        Part::Held(hold) => format!("held {hold}"),
        Part::Delivery(hold) => format!("delivery to {hold}"),
        Part::Exchange(Hold::LongPoll) => "cycles of long-polls".into(),
        Part::Exchange(_) => "round trips of WebSockets".into(),
        Part::Slow => "delivery beside a slow reader".into(),
        Part::Channels => "publishing to many channels".into(),
        Part::Proxy(proxying) => proxying.to_string(),
    };
    format!("pass {}, {}, {part}", step.pass, step.kind)
}

fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 90 {
        format!("{seconds} s")
    } else {
        format!("{} min", seconds.div_ceil(60))
    }
}
