use std::collections::HashMap;

use secrecy::ExposeSecret;
use tollgate_domain::ids::{McpClientId, ToolGroupId};
use tollgate_storage::mcp::clients::{
    self, ClientSecrets, ClientSettings, ConnectionType, StoredMcpClient,
};
use tollgate_storage::mcp::tool_groups::{self, ClientTools};
use tollgate_storage::{Constraint, PageRequest};

use crate::fixture::{Fixture, at, in_tx, on_both_engines, uuid};

fn client(number: u128, name: &str) -> StoredMcpClient {
    StoredMcpClient {
        id: McpClientId::from_uuid(uuid(number)),
        name: name.to_owned(),
        connection_type: ConnectionType::Http,
        settings: ClientSettings {
            tools_to_execute: vec!["*".to_owned()],
            ..ClientSettings::default()
        },
        secrets: ClientSecrets {
            connection_string: Some("https://mcp.example.com/?token=hidden".into()),
            headers: vec![("authorization".to_owned(), "Bearer hidden".into())],
            envs: Vec::new(),
        },
        created_at: at(i64::try_from(number).unwrap()),
        updated_at: at(i64::try_from(number).unwrap()),
    }
}

on_both_engines! {
    async fn clients_live_and_die(fixture: &Fixture) {
        let store = &fixture.store;
        let mut files = client(1, "Files");
        in_tx!(store, tx => {
            clients::create(&mut tx, &files).await.unwrap();
            clients::create(&mut tx, &client(2, "Calendar")).await.unwrap();
        });
        let taken = clients::create(&mut store.begin().await.unwrap(), &client(3, "FILES")).await.unwrap_err();
        assert!(taken.conflicts_with(Constraint::McpClientName));
        let found = clients::find(store, files.id).await.unwrap().unwrap();
        assert_eq!(found.secrets.headers[0].1.expose_secret(), "Bearer hidden");
        assert_eq!((found.settings, found.connection_type), (files.settings.clone(), ConnectionType::Http));
        assert!(!format!("{:?}", found.secrets).contains("hidden"));

        files.connection_type = ConnectionType::Stdio;
        files.secrets = ClientSecrets::default();
        files.settings.command = Some("mcp-files".to_owned());
        in_tx!(store, tx => assert!(clients::update(&mut tx, &files).await.unwrap()));
        let page = clients::list(store, Some("fil"), PageRequest::default()).await.unwrap();
        assert_eq!((page.items.len(), page.total), (1, 1));
        assert_eq!(page.items[0].settings, files.settings);
        assert!(page.items[0].secrets.connection_string.is_none());
        let seen: Vec<_> = clients::all(store).await.unwrap();
        assert_eq!(seen.len(), 2);
        assert!(seen.iter().any(|one| one.id == files.id && one.tools_to_execute == ["*"]));
        let unknown = McpClientId::from_uuid(uuid(9));
        assert_eq!(clients::missing(store, &[files.id, unknown]).await.unwrap(), [unknown]);
        let names = clients::names(store, &[files.id, unknown]).await.unwrap();
        assert_eq!(names, HashMap::from([(files.id, files.name.clone())]));
        let wanted = [files.name.to_uppercase(), "nobody".to_owned()];
        let ids = clients::ids_by_name(store, &[&wanted[0], &wanted[1]]).await.unwrap();
        assert_eq!(ids, HashMap::from([(files.name.to_lowercase(), files.id)]));
        in_tx!(store, tx => {
            assert!(clients::delete(&mut tx, files.id).await.unwrap());
            assert!(!clients::delete(&mut tx, files.id).await.unwrap());
            assert!(!clients::update(&mut tx, &files).await.unwrap());
        });
        assert_eq!(clients::list(store, None, PageRequest::default()).await.unwrap().total, 1);
    }

    async fn tool_groups_live_and_die(fixture: &Fixture) {
        let store = &fixture.store;
        let tools = vec![ClientTools {
            mcp_client_id: McpClientId::from_uuid(uuid(1)),
            tool_names: vec!["read".to_owned(), "list".to_owned()],
        }];
        let (mut group, _) = in_tx!(store, tx => tool_groups::create(&mut tx, "Readers", None, &tools, at(1)).await.unwrap());
        assert_eq!(tool_groups::find(store, group.id).await.unwrap(), Some(group.clone()));
        let taken = tool_groups::create(&mut store.begin().await.unwrap(), "readers", None, &[], at(1)).await;
        assert!(taken.unwrap_err().conflicts_with(Constraint::ToolGroupName));
        let grouped = [(McpClientId::from_uuid(uuid(1)), tools[0].tool_names.clone())].into();
        assert_eq!(tool_groups::all(store).await.unwrap(), [(group.id, grouped)]);
        group.name = "Viewers".into();
        group.description = Some("may look".to_owned());
        group.tools.clear();
        group.updated_at = at(2);
        in_tx!(store, tx => assert!(tool_groups::update(&mut tx, &group).await.unwrap()));
        let page = tool_groups::list(store, Some("view"), PageRequest::default()).await.unwrap();
        assert_eq!((page.items, page.total), (vec![group.clone()], 1));
        let missing = tool_groups::missing(store, &[group.id, ToolGroupId(4_711)]).await.unwrap();
        assert_eq!(missing, [ToolGroupId(4_711)]);
        in_tx!(store, tx => {
            assert!(tool_groups::delete(&mut tx, group.id).await.unwrap());
            assert!(!tool_groups::delete(&mut tx, group.id).await.unwrap());
            assert!(!tool_groups::update(&mut tx, &group).await.unwrap());
        });
    }
}
