//! The differential fuzzer: whatever the kernel lets reach a listener or start a shell has a verdict, and audit changes nothing.
//!
//! Each case is done three times in processes of their own: bare, guarded in enforce and guarded in audit. README.md says what
//! a case is and what is compared.

mod actor;
mod case;
mod generate;
mod oracle;
mod random;
mod world;

use case::{Case, Step};
use oracle::{Oracle, Outcome};
use random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const USAGE: &str =
    "usage: differential --library PATH --command PATH [--seconds N] [--cases N] [--seed N] [--corpus DIR]
                    [--replay FILE]... [--found DIR] [--seccomp off|log|supervise] [--verbose]
  --library, --command  The library and the command under test
  --seconds             How long to generate cases; default 0: only the corpus
  --cases               How many cases to generate in that time at most; default: any number
  --seed                Of the first case; default: from the clock
  --corpus              A folder of cases, which come first
  --replay              One case, with all that each run showed. Repeatable
  --found               A folder for the cases of what is found
  --seccomp             The backstop under test; default off
Exit status: 0 nothing found, 1 something found, 2 wrong usage";

#[derive(Default)]
struct Options {
    library: PathBuf,
    command: PathBuf,
    seconds: u64,
    cases: u64,
    seed: u64,
    corpus: Option<PathBuf>,
    replay: Vec<PathBuf>,
    found: Option<PathBuf>,
    seccomp: String,
    is_verbose: bool,
}

fn options() -> Option<Options> {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut options =
        Options { seed: clock.as_millis() as u64, cases: u64::MAX, seccomp: "off".to_owned(), ..Options::default() };
    let mut arguments = std::env::args().skip(1);
    let whole = |path: String| std::path::absolute(path).ok();
    while let Some(argument) = arguments.next() {
        if argument == "--verbose" {
            options.is_verbose = true;
            continue;
        }
        let value = arguments.next()?;
        match argument.as_str() {
            "--library" => options.library = whole(value)?,
            "--command" => options.command = whole(value)?,
            "--seconds" => options.seconds = value.parse().ok()?,
            "--cases" => options.cases = value.parse().ok()?,
            "--seed" => options.seed = value.parse().ok()?,
            "--corpus" => options.corpus = Some(whole(value)?),
            "--replay" => options.replay.push(whole(value)?),
            "--found" => options.found = Some(whole(value)?),
            "--seccomp" => options.seccomp = value,
            _ => return None,
        }
    }
    (options.library.is_file() && options.command.is_file()).then_some(options)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("--actor") => actor::serve(),
        Some("--rest") => return actor::perform_text(arguments.get(2).map_or("", String::as_str)),
        _ => {}
    }
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    match run(&options) {
        Ok(0) => {}
        Ok(_) => std::process::exit(1),
        Err(why) => {
            eprintln!("differential: {why}");
            std::process::exit(2);
        }
    }
}

/// What was found, one entry for each case of the corpus, or class of generated ones, and way of being wrong.
#[derive(Default)]
struct Found {
    kinds: BTreeMap<String, usize>,
    limits: usize,
    /// What was wrong, with the steps that it took.
    shown: BTreeSet<String>,
}

impl Found {
    /// Does a case, again where something is wrong, and tells what is wrong both times.
    fn take(&mut self, oracle: &mut Oracle, case: &Case, name: &str, options: &Options) {
        let (first, _) = oracle.judge(case);
        if first.is_empty() {
            return;
        }
        // Only what is wrong again is reported: not what a busy machine made late.
        let (second, mut outcomes) = oracle.judge(case);
        let wrong: Vec<String> =
            if case.is_race { first } else { first.into_iter().filter(|one| second.contains(one)).collect() };
        if wrong.is_empty() {
            return;
        }
        if let Some(limit) = &case.limit {
            self.limits += 1;
            println!("{name} [{}]: a documented limit: {limit}: {}", case.class, wrong.join("; "));
            return;
        }
        let is_of_corpus = name.ends_with(".case");
        let what = if is_of_corpus { name } else { &case.class };
        let count = self.kinds.entry(format!("{what}: {}", wrong.join("; "))).or_default();
        *count += 1;
        // One cause after another has the same signs: some are shown, those that need other steps.
        if *count > 8 {
            return;
        }
        let mut smaller = case.clone();
        if !is_of_corpus && !case.is_race {
            (smaller, outcomes) = smallest(oracle, case, &wrong, outcomes);
            let verbs: Vec<&str> = smaller.steps.iter().map(|step| step.verb.as_str()).collect();
            if !self.shown.insert(format!("{} {}", wrong.join("; "), verbs.join(" "))) {
                return;
            }
        }
        println!("FOUND {name} [{}]: {}", case.class, wrong.join("; "));
        let text = format!("# {name}: {}\n{}", wrong.join("; "), smaller.write());
        text.lines().for_each(|line| println!("    {line}"));
        differences(&outcomes);
        if let Some(folder) = &options.found {
            let _ = std::fs::create_dir_all(folder);
            let file = folder.join(name.replace('/', "-")).with_extension("case");
            let _ = std::fs::write(file, text);
        }
    }
}

/// Leaves out what a finding does not need: steps, then their arguments.
fn smallest(oracle: &mut Oracle, case: &Case, wrong: &[String], seen: [Outcome; 3]) -> (Case, [Outcome; 3]) {
    const TRIES: usize = 40;
    let (mut best, mut outcomes, mut tries) = (case.clone(), seen, 0);
    let mut keep = |best: &mut Case, smaller: Case| {
        tries += 1;
        let (again, all) = oracle.judge(&smaller);
        if tries < TRIES && again == wrong {
            *best = smaller;
            outcomes = all;
            return true;
        }
        false
    };
    let mut i = 0;
    while i < best.steps.len() {
        let mut smaller = best.clone();
        smaller.steps.remove(i);
        if !keep(&mut best, smaller) {
            i += 1;
        }
    }
    for i in 0..best.steps.len() {
        let mut word = 1;
        loop {
            let words: Vec<&str> = best.steps[i].line.split_ascii_whitespace().collect();
            if word >= words.len() {
                break;
            }
            let mut smaller = best.clone();
            let line = [&words[..word], &words[word + 1..]].concat().join(" ");
            if let Ok(step) = Step::parse(&line) {
                smaller.steps[i] = step;
            }
            if !keep(&mut best, smaller) {
                word += 1;
            }
        }
    }
    (best, outcomes)
}

/// Prints what an enforced and an audited run showed otherwise than the bare one.
fn differences([bare, enforce, audit]: &[Outcome; 3]) {
    for (mode, seen) in [("bare", bare), ("enforce", enforce), ("audit", audit)] {
        println!(
            "    {mode}: status {:x}, shell {}, arrived {:?}, opened {}, events {:?}, results {:?}",
            seen.status, seen.shell, seen.arrived, seen.opened, seen.events, seen.results
        );
    }
    bare.view.iter().filter(|line| !audit.view.contains(line)).for_each(|line| println!("    only bare:  {line}"));
    audit.view.iter().filter(|line| !bare.view.contains(line)).for_each(|line| println!("    only audit: {line}"));
}

fn corpus(folder: &Path) -> Result<Vec<(String, Case)>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "case"));
    files.sort();
    files.iter().map(|path| load(path)).collect()
}

fn load(path: &Path) -> Result<(String, Case), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok((name.clone(), Case::parse(&text).map_err(|why| format!("{name}: {why}"))?))
}

fn run(options: &Options) -> Result<usize, String> {
    // Read before the namespaces hide them.
    let replays = options.replay.iter().map(|path| load(path)).collect::<Result<Vec<_>, _>>()?;
    let cases = options.corpus.as_deref().map_or(Ok(Vec::new()), corpus)?;
    world::enter()?;
    world::furnish(&options.library, &options.command)?;
    let mut oracle = Oracle::new(&options.seccomp)?;
    let mut found = Found::default();
    for (name, case) in &replays {
        let (wrong, outcomes) = oracle.judge(case);
        println!("{name} [{}]: {}", case.class, if wrong.is_empty() { "nothing".to_owned() } else { wrong.join("; ") });
        differences(&outcomes);
        if !wrong.is_empty() && case.limit.is_none() {
            found.kinds.insert(name.clone(), 1);
        }
    }
    for (name, case) in &cases {
        found.take(&mut oracle, case, name, options);
    }
    let (mut seed, mut count) = (options.seed, 0);
    let (mut shells, mut arrivals) = (0, 0);
    let end = Instant::now() + Duration::from_secs(options.seconds);
    while Instant::now() < end && count < options.cases {
        let start = Instant::now();
        let text = generate::case(&mut Random::new(seed));
        let case = Case::parse(&text).map_err(|why| format!("seed {seed}: {why}"))?;
        if options.is_verbose {
            println!("seed {seed}\n{text}");
        }
        let (wrong, [bare, ..]) = oracle.judge(&case);
        if options.is_verbose {
            println!("status {:x}, {:?}", bare.status, start.elapsed());
        }
        shells += usize::from(bare.shell);
        arrivals += usize::from(!bare.arrived.is_empty());
        if !wrong.is_empty() {
            found.take(&mut oracle, &case, &format!("seed-{seed}"), options);
        }
        seed = seed.wrapping_add(1);
        count += 1;
    }
    println!(
        "{} cases of the corpus, {count} generated from seed {} on ({shells} started a shell bare, {arrivals} reached a listener): \
         {} kinds of findings, {} documented limits",
        cases.len(),
        options.seed,
        found.kinds.len(),
        found.limits
    );
    // A fuzzer whose cases get nowhere finds nothing.
    if count > 200 && (shells == 0 || arrivals == 0) {
        return Err(
            "no generated case started a shell or reached a listener: the world of the cases is broken".to_owned()
        );
    }
    found.kinds.iter().for_each(|(kind, count)| println!("    {count} x {kind}"));
    Ok(found.kinds.len())
}
