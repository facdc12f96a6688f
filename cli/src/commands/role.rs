//! `kith role`

use super::channel::Which;
use crate::context::Context;
use crate::failure::Outcome;
use clap::Subcommand;
use kith_node::api::types::NewRole;
use kith_node::api::{check_permission, check_role_name};

/// What to do with the roles of a channel.
#[derive(Debug, Subcommand)]
pub(crate) enum RoleVerb {
    /// List roles and what they allow
    List(Which),
    /// Define a role, anew if it is there
    Define {
        /// Which channel.
        #[command(flatten)]
        which: Which,
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// A role whose rights it has as well; may be given several times
        #[arg(long, value_name = "R", value_delimiter = ',')]
        inherit: Vec<String>,
        /// A right it gives, such as send, pin, invite, mute, kick; may be given several times
        #[arg(long, value_name = "PERM", value_parser = permission, value_delimiter = ',')]
        allow: Vec<String>,
        /// A right it takes away, whatever gives it; may be given several times
        #[arg(long, value_name = "PERM", value_parser = permission, value_delimiter = ',')]
        deny: Vec<String>,
    },
    /// End a role
    Drop {
        /// Which channel.
        #[command(flatten)]
        which: Which,
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Carries out what to do with roles.
pub(crate) async fn run(verb: RoleVerb, context: &Context) -> Outcome {
    let Context { client, out, .. } = context;
    match verb {
        RoleVerb::List(which) => out.list(&client.roles(&which.channel).await?, "no role"),
        RoleVerb::Define { which, name, inherit, allow, deny } => {
            let name = check_role_name(&name)?;
            let inherits = inherit.iter().map(|name| check_role_name(name)).collect::<Result<_, _>>()?;
            let role = NewRole { name, inherits, allow, deny, ..NewRole::default() };
            out.one(&client.define_role(&which.channel, &role).await?)
        }
        RoleVerb::Drop { which, name } => out.one(&client.drop_role(&which.channel, &check_role_name(&name)?).await?),
    }
}

/// Reads the word of a right.
fn permission(word: &str) -> Result<String, String> {
    check_permission(word).map_err(|e| e.message)
}
