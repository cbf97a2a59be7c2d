//! `triscope man`: the manual page, all commands on one page.

use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::{cli::Cli, exit::Exit, output};

pub(crate) fn man() -> Exit {
    match page() {
        Ok(page) => {
            output::print(&String::from_utf8_lossy(&page));
            Exit::Done
        }
        // Written to memory, so there is hardly a way.
        Err(error) => output::fail(
            Exit::Unusable,
            &anyhow::Error::new(error).context("cannot make the manual page"),
        ),
    }
}

fn page() -> io::Result<Vec<u8>> {
    let program = Cli::command();
    let mut page = Vec::new();
    let man = Man::new(program.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for command in program.get_subcommands() {
        let name = format!("{} {}", program.get_name(), command.get_name());
        let man = Man::new(command.clone().bin_name(&name));
        let mut sections = Vec::new();
        man.render_synopsis_section(&mut sections)?;
        man.render_description_section(&mut sections)?;
        man.render_options_section(&mut sections)?;
        // Of a command's own page these would be the sections; here they are parts of one.
        let sections = String::from_utf8_lossy(&sections).replace(".SH ", ".SS ");
        write!(page, ".SH \"{}\"\n{sections}", name.to_uppercase())?;
    }
    man.render_extra_section(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}
