//! The table of the variables that [`super`] looks for.

/// A row of the documentation: a variable, or a family of them.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name; a `*` at the end stands for the rest of any name.
    pub name: &'static str,
    /// The programs that read it.
    pub readers: &'static str,
    /// What it does there.
    pub effect: &'static str,
    /// Where that is documented, or the experiment that shows it.
    pub source: &'static str,
    /// It makes a program that is started load code; then the rule loader-env is about it.
    pub loads: bool,
}

/// The beginning and the end of a clause. It is true in a worker, where the variable differs from the server's start, in a
/// descendant, where nothing tells a script's from the server's, and of HOME, where the file in it counts.
macro_rules! clause {
    ($name:literal) => {
        concat!("allow does not hold: ", $name, " is not known to be the server's own\n")
    };
}

/// The line of a name in [`LOADING`].
macro_rules! loading {
    ($name:literal) => {
        ""
    };
    ($name:literal loads) => {
        concat!($name, "\n")
    };
}

/// Whether a row has the word.
macro_rules! has {
    () => {
        false
    };
    (loads) => {
        true
    };
}

macro_rules! variables {
    ($($readers:literal => { $($name:literal, $effect:literal, $source:literal $(, $loads:ident)?;)+ })+) => {
        /// The table. Each row was tried with the shell of Debian 12 that it names, unless its source says otherwise.
        pub const ROWS: &[Row] = &[$($(Row {
            name: $name,
            readers: $readers,
            effect: $effect,
            source: $source,
            loads: has!($($loads)?),
        }),+),+];

        /// Its names and its clauses, a line each. Tables of pointers would have to be relocated in every program.
        pub(super) const NAMES: &str = concat!($($($name, "\n"),+),+);
        pub(super) const CLAUSES: &str = concat!($($(clause!($name)),+),+);
        /// The names of those that load code.
        pub(super) const LOADING: &str = concat!($($(loading!($name $($loads)?)),+),+);
    };
}

variables! {
    "bash, rbash" => {
        "BASH_ENV", "a file that is run before the command", "bash(1), Shell Variables";
        "SHELLOPTS", "options: `xtrace` expands PS4 before each command, `noexec` skips the command", "bash(1), Shell Variables";
        "BASHOPTS", "options: `extdebug` runs a debugger's start-up file", "bash(1), Shell Variables";
        "PS4", "command substitutions that run before each command under `xtrace`; root ignores it", "bash(1), Shell Variables";
        "BASH_FUNC_*", "an exported function, which replaces a command of its name", "bash(1), Functions";
        "BASH_COMPAT", "the version whose parsing is used", "bash(1), Shell Compatibility Mode";
        "BASH_XTRACEFD", "the descriptor to which the trace is written", "bash(1), Shell Variables";
        "BASH_LOADABLES_PATH", "directories of built-in commands that `enable -f` loads", "bash(1), Shell Variables";
        "PROMPT_COMMAND", "a command that runs before each prompt of an interactive shell", "bash(1), Shell Variables";
    }
    "sh, dash, bash, busybox, ksh, mksh, yash, posh" => {
        "ENV", "a file that is run first: by interactive shells, and by every shell of old Korn shells", "POSIX, sh, ENVIRONMENT VARIABLES; pdksh's ksh(1)";
        "IFS", "how words are split: posh takes it from the environment, as old Bourne shells did", "tested: `IFS=x posh -c`";
        "CDPATH", "where `cd` goes", "POSIX, cd";
    }
    "ksh, mksh, zsh" => {
        "FPATH", "directories of functions: a bare command that is not found is run from there", "tested: `FPATH=… ksh93 -c`, `mksh -c`";
    }
    "zsh" => {
        "ZDOTDIR", "the directory of `.zshenv`, which every zsh runs first", "zsh(1), STARTUP/SHUTDOWN FILES";
    }
    "zsh, csh, tcsh, fish, pwsh" => {
        "HOME", "the directory of the start-up file that every such shell runs first; an entry never holds in one of them", "zsh(1), tcsh(1), fish(1)";
    }
    "fish" => {
        "XDG_CONFIG_HOME", "the directory of `config.fish`, which every fish runs first", "fish(1), Configuration";
    }
    "yash" => {
        "YASH_LOADPATH", "directories of files that `.` and auto-loading run", "yash(1), Variables";
    }
    "every shell" => {
        "PATH", "which program runs, where the command names it without a directory; system directories alone are fine", "POSIX, Command Search and Execution";
    }
    "dynamic loader (glibc, musl)" => {
        "LD_*", "libraries that are loaded into the program, and how", "ld.so(8)", loads;
        "GLIBC_TUNABLES", "settings of libc", "ld.so(8)";
    }
    "every program (glibc)" => {
        "GCONV_PATH", "directories of character set modules, which are code", "glibc, sysdeps/generic/unsecvars.h", loads;
        "GETCONF_DIR", "the directory of programs that getconf runs", "glibc, sysdeps/generic/unsecvars.h";
        "LOCPATH", "directories of locales: which bytes are blanks, letters and parts of characters", "glibc, sysdeps/generic/unsecvars.h", loads;
        "NLSPATH", "files of messages, some of which are format strings", "glibc, sysdeps/generic/unsecvars.h";
        "MALLOC_TRACE", "a file that is written", "glibc, sysdeps/generic/unsecvars.h";
        "HOSTALIASES", "other names for hosts", "glibc, sysdeps/generic/unsecvars.h";
        "LOCALDOMAIN", "the domain in which hosts are looked for", "glibc, sysdeps/generic/unsecvars.h";
        "RES_OPTIONS", "options of the resolver", "glibc, sysdeps/generic/unsecvars.h";
        "RESOLV_HOST_CONF", "the resolver's file", "glibc, sysdeps/generic/unsecvars.h";
        "NIS_PATH", "where NIS+ looks", "glibc, sysdeps/generic/unsecvars.h";
        "TZDIR", "the directory of time zones", "glibc, sysdeps/generic/unsecvars.h";
    }
    "programs with OpenSSL, Kerberos, SASL, GLib, GTK or Qt" => {
        "OPENSSL_CONF", "a configuration whose engines and providers are loaded", "openssl-env(7)", loads;
        "OPENSSL_ENGINES", "the directory of engines", "openssl-env(7)", loads;
        "OPENSSL_MODULES", "the directory of providers", "openssl-env(7)", loads;
        "OPENSSL_*", "a configuration or a directory whose modules are loaded", "openssl-env(7)";
        "KRB5_CONFIG", "a configuration whose plugins are loaded", "krb5.conf(5), plugins", loads;
        "SASL_PATH", "directories of plugins that are loaded", "Cyrus SASL, Options", loads;
        "SASL_*", "directories of plugins that are loaded", "Cyrus SASL, Options";
        "GIO_EXTRA_MODULES", "directories of modules that are loaded", "GIO, Running GIO applications", loads;
        "GIO_MODULE_DIR", "the directory of modules that are loaded", "GIO, Running GIO applications", loads;
        "GIO_*", "directories of modules that are loaded", "GIO, Running GIO applications";
        "GTK_MODULES", "modules that are loaded", "GTK, Running GTK Applications", loads;
        "GTK3_MODULES", "modules that are loaded", "GTK, Running GTK Applications", loads;
        "GTK_PATH", "modules that are loaded", "GTK, Running GTK Applications", loads;
        "GTK_EXE_PREFIX", "modules that are loaded", "GTK, Running GTK Applications", loads;
        "GTK_IM_MODULE_FILE", "modules that are loaded", "GTK, Running GTK Applications", loads;
        "GTK_*", "modules that are loaded", "GTK, Running GTK Applications";
        "GDK_PIXBUF_*", "modules that are loaded", "gdk-pixbuf-query-loaders(1)", loads;
        "QT_PLUGIN_PATH", "directories of plugins that are loaded", "Qt, Deploying Plugins", loads;
        "QT_QPA_PLATFORM_PLUGIN_PATH", "the directory of a plugin that is loaded", "Qt for Embedded Linux", loads;
        "QML_IMPORT_PATH", "directories of modules that are loaded", "Qt, QML Import Path", loads;
        "QML2_IMPORT_PATH", "the same", "Qt, QML Import Path", loads;
        "QT_*", "directories of plugins that are loaded", "Qt, Deploying Plugins";
    }
    "perl" => {
        "PERL5OPT", "options, among them modules that are loaded", "perlrun(1), ENVIRONMENT", loads;
        "PERL5LIB", "directories of modules", "perlrun(1), ENVIRONMENT", loads;
        "PERLLIB", "directories of modules", "perlrun(1), ENVIRONMENT", loads;
        "PERL5DB", "code that runs in the debugger", "perlrun(1), ENVIRONMENT", loads;
    }
    "python" => {
        "PYTHONPATH", "directories of modules", "python(1), ENVIRONMENT VARIABLES", loads;
        "PYTHONHOME", "the directory of the standard library", "python(1), ENVIRONMENT VARIABLES", loads;
        "PYTHONPLATLIBDIR", "the same, a part of its path", "python(1), ENVIRONMENT VARIABLES", loads;
        "PYTHONUSERBASE", "a directory of modules, among them `usercustomize`", "python(1), ENVIRONMENT VARIABLES", loads;
        "PYTHONSTARTUP", "a file that an interactive one runs first", "python(1), ENVIRONMENT VARIABLES", loads;
        "PYTHONPYCACHEPREFIX", "the directory of compiled modules", "docs.python.org, Command line and environment", loads;
        "PYTHON*", "directories of modules, start-up code, and classes that are imported", "python(1), ENVIRONMENT VARIABLES";
    }
    "ruby" => {
        "RUBYOPT", "options, among them libraries that are loaded", "ruby(1), ENVIRONMENT", loads;
        "RUBYLIB", "directories of libraries", "ruby(1), ENVIRONMENT", loads;
        "GEM_*", "directories of libraries", "RubyGems, Command Reference", loads;
        "RUBYGEMS_GEMDEPS", "a file whose code runs", "RubyGems, use_gemdeps", loads;
        "BUNDLE_GEMFILE", "a file whose code runs", "bundle-config(1)", loads;
        "BUNDLE_*", "a file whose code runs", "bundle-config(1)";
    }
    "node" => {
        "NODE_OPTIONS", "options, among them modules that are loaded", "node(1), ENVIRONMENT", loads;
        "NODE_PATH", "directories of modules", "node(1), ENVIRONMENT", loads;
        "NODE_REPL_EXTERNAL_MODULE", "a module that is loaded", "node(1), ENVIRONMENT", loads;
        "NODE_*", "options and modules that are loaded", "node(1), ENVIRONMENT";
    }
    "php" => {
        "PHPRC", "the directory of php.ini", "php.net, The configuration file", loads;
        "PHP_INI_SCAN_DIR", "directories of more settings", "php.net, The configuration file", loads;
    }
    "lua, tclsh, awk" => {
        "LUA_*", "start-up code, and where modules are", "lua(1), ENVIRONMENT", loads;
        "TCLLIBPATH", "directories of packages", "tclsh(1), library(3tcl)", loads;
        "TCL_LIBRARY", "the directory of `init.tcl`, which runs first", "tclsh(1), library(3tcl)", loads;
        "AWKLIBPATH", "directories of libraries that are loaded", "gawk(1), ENVIRONMENT", loads;
        "AWK*", "directories of files and of libraries that are loaded", "gawk(1), ENVIRONMENT";
    }
    "java" => {
        "JAVA_TOOL_OPTIONS", "options, among them agents that are loaded", "JVM Tool Interface", loads;
        "_JAVA_OPTIONS", "the same", "HotSpot", loads;
        "JDK_JAVA_OPTIONS", "the same", "java(1)", loads;
        "CLASSPATH", "where classes are", "java(1)", loads;
    }
    "ImageMagick, Ghostscript" => {
        "MAGICK_CONFIGURE_PATH", "a directory whose delegates.xml has commands", "ImageMagick(1), ENVIRONMENT";
        "MAGICK_CODER_MODULE_PATH", "modules that are loaded", "ImageMagick(1), ENVIRONMENT", loads;
        "MAGICK_FILTER_MODULE_PATH", "modules that are loaded", "ImageMagick(1), ENVIRONMENT", loads;
        "MAGICK_CODER_FILTER_PATH", "modules that are loaded", "ImageMagick(1), ENVIRONMENT", loads;
        "MAGICK_HOME", "the directory of all of these", "ImageMagick(1), ENVIRONMENT", loads;
        "GS_LIB", "directories of PostScript that runs at the start", "gs(1), ENVIRONMENT", loads;
        "GS_OPTIONS", "options", "gs(1), ENVIRONMENT", loads;
    }
    "GStreamer, Graphviz, libvips, OpenCL, ODBC, clients of MySQL" => {
        "GST_PLUGIN_*", "directories of plugins that are loaded", "GStreamer, Running GStreamer Applications", loads;
        "GVBINDIR", "a directory whose plugins are loaded", "dot(1), ENVIRONMENT", loads;
        "VIPSHOME", "a directory whose modules are loaded", "libvips, vips_init", loads;
        "OCL_ICD_VENDORS", "files that name drivers, which are loaded", "libOpenCL(7)", loads;
        "ODBC*", "files that name drivers, which are loaded", "unixODBC, odbcinst", loads;
        "LIBMYSQL_PLUGIN*", "plugins that are loaded", "MySQL, Environment Variables", loads;
        "MARIADB_PLUGIN_DIR", "the directory of plugins that are loaded", "MariaDB Connector/C, plugins", loads;
    }
    "dotnet, R, erl, guile, vim" => {
        "DOTNET_STARTUP_HOOKS", "assemblies that run first", "dotnet/runtime, host-startup-hook.md", loads;
        "CORECLR_PROFILER*", "a library that is loaded", "docs.microsoft.com, Profiling API", loads;
        "R_PROFILE*", "a file that runs first", "R, Startup", loads;
        "R_LIBS*", "directories of packages", "R, Startup", loads;
        "ERL_*", "options, and directories of modules", "erl(1), ENVIRONMENT VARIABLES", loads;
        "GUILE_LOAD_*", "directories of modules", "guile(1), ENVIRONMENT", loads;
        "VIMINIT", "commands that run first", "vim, starting", loads;
        "EXINIT", "the same", "vim, starting", loads;
        "VIMRUNTIME", "the directory of scripts that run first", "vim, starting", loads;
    }
    "sendmail (Postfix)" => {
        "MAIL_CONFIG", "the directory of main.cf, which names the programs that are run", "sendmail(1) of Postfix, ENVIRONMENT";
    }
}
