package conf

import (
	"slices"
	"strings"
)

// The names that ejabberd 26.07 knows. Those that this build does nothing with
// are warned of; any other name is an error.

// globalOptions are top-level keys for the whole server alone.
const globalOptions = `
acme allow_contrib_modules auth_cache_life_time auth_cache_missed auth_cache_size ca_file
captcha_cmd captcha_host captcha_limit captcha_url certfiles cluster_backend cluster_nodes
domain_balancing ext_api_path_oauth fqdn hosts_alias install_contrib_modules
log_burst_limit_count log_burst_limit_window_time log_modules_fully log_rotate_count
log_rotate_size loglevel negotiation_timeout net_ticktime oauth_cache_life_time
oauth_cache_missed oauth_cache_rest_failure_life_time oauth_cache_size oauth_db_type
oauth_expire oauth_use_cache oom_killer oom_queue oom_watermark queue_dir redis_connect_timeout
redis_db redis_password redis_pool_size redis_port redis_queue_type redis_server
registration_timeout router_cache_life_time router_cache_missed router_cache_size router_db_type
router_use_cache rpc_timeout s2s_max_retry_delay sm_cache_life_time sm_cache_missed
sm_cache_size sql_schema_multihost trusted_proxies update_sql_schema validate_stream version
websocket_origin websocket_ping_interval websocket_timeout
`

// hostOptions are top-level keys that may also stand in host_config.
const hostOptions = `
allow_multiple_connections anonymous_protocol auth_external_user_exists_check auth_method
auth_opts auth_password_format auth_password_types_hidden_in_sasl1 auth_scram_hash
auth_stored_password_types auth_use_cache c2s_cafile c2s_ciphers c2s_dhfile c2s_protocol_options
c2s_tls_compression cache_life_time cache_missed cache_size default_db default_ram_db
disable_sasl_mechanisms disable_sasl_scram_downgrade_protection ext_api_headers
ext_api_http_pool_size ext_api_url extauth_pool_name extauth_pool_size extauth_program
hide_sensitive_log_data jwt_auth_only_rule jwt_jid_field jwt_key language ldap_backups ldap_base
ldap_deref_aliases ldap_dn_filter ldap_encrypt ldap_filter ldap_password ldap_port ldap_rootdn
ldap_servers ldap_tls_cacertfile ldap_tls_certfile ldap_tls_depth ldap_tls_verify ldap_uids
max_fsm_queue oauth_access oauth_client_id_check outgoing_s2s_families outgoing_s2s_ipv4_address
outgoing_s2s_ipv6_address outgoing_s2s_port outgoing_s2s_timeout pam_service pam_userinfotype
pgsql_users_number_estimate queue_type replaced_connection_timeout resource_conflict rest_proxy
rest_proxy_password rest_proxy_port rest_proxy_username s2s_access s2s_cafile s2s_ciphers
s2s_dhfile s2s_dns_retries s2s_dns_timeout s2s_protocol_options s2s_queue_type s2s_timeout
s2s_tls_compression s2s_use_starttls s2s_zlib sm_db_type sm_use_cache sql_connect_timeout
sql_database sql_flags sql_keepalive_interval sql_odbc_driver sql_password sql_pool_size
sql_port sql_prepared_statements sql_query_timeout sql_queue_type sql_server sql_ssl
sql_ssl_cafile sql_ssl_certfile sql_ssl_verify sql_start_interval sql_type sql_username
update_sql_schema_timeout use_cache
acl access_rules shaper_rules modules define_keyword
`

// moduleNames are the entries of modules.
const moduleNames = `
mod_adhoc mod_adhoc_api mod_admin_extra mod_announce mod_antispam mod_auth_fast mod_avatar
mod_block_strangers mod_blocking mod_bosh mod_caps mod_carboncopy mod_client_state mod_configure
mod_conversejs mod_cron mod_delegation mod_disco mod_fail2ban mod_host_meta mod_http_api
mod_http_fileserver mod_http_upload mod_http_upload_quota mod_invites mod_jidprep mod_last
mod_legacy_auth mod_mam mod_matrix_gw mod_metrics mod_mix mod_mix_pam mod_mqtt mod_mqtt_bridge
mod_muc mod_muc_admin mod_muc_log mod_muc_occupantid mod_muc_rtbl mod_multicast mod_offline
mod_ping mod_pres_counter mod_privacy mod_private mod_privilege mod_providers mod_proxy65
mod_pubsub mod_pubsub_serverinfo mod_push mod_push_keepalive mod_register mod_register_web
mod_roster mod_s2s_bidi mod_s2s_dialback mod_scram_upgrade mod_service_log mod_shared_roster
mod_shared_roster_ldap mod_sic mod_sip mod_stats mod_stream_mgmt mod_stun_disco mod_time
mod_tombstones mod_vcard mod_vcard_ldap mod_vcard_xupdate mod_version
`

// storageOptions are those of many modules about databases and caches.
const storageOptions = `
cache_life_time cache_missed cache_size db_type queue_type ram_db_type use_cache use_mam_for_storage
`

// listenerNames are the modules that may serve a listener.
const listenerNames = `
ejabberd_c2s ejabberd_http ejabberd_s2s_in ejabberd_service ejabberd_sip ejabberd_stun
ejabberd_xmlrpc mod_mqtt
`

// handlerNames are the modules that may serve a path of ejabberd_http.
const handlerNames = `
ejabberd_acme ejabberd_captcha ejabberd_ctl ejabberd_http_ws ejabberd_oauth ejabberd_web_admin
ejabberd_xmlrpc mod_bosh mod_conversejs mod_host_meta mod_http_api mod_http_fileserver
mod_http_upload mod_invites mod_matrix_gw mod_mqtt mod_providers mod_register_web
`

// knownOption reports whether ejabberd has a top-level key, and whether it is
// for the whole server alone.
func knownOption(name string) (global, known bool) {
	if listed(globalOptions, name) || slices.Contains(coreOptions(), name) {
		return true, true
	}
	return false, listed(hostOptions, name)
}

// coreOptions are the keys that are always read.
func coreOptions() []string {
	return []string{"hosts", "listen", "shaper", "api_permissions", "host_config", "append_host_config", "define_macro", "include_config_file"}
}

func knownOptions() []string {
	return slices.Concat(strings.Fields(globalOptions), strings.Fields(hostOptions), coreOptions())
}

// KnownModule reports whether ejabberd has an entry of modules with this name.
func KnownModule(name string) bool { return listed(moduleNames, name) }

func knownModules() []string { return strings.Fields(moduleNames) }

// KnownListener reports whether ejabberd has a listening module of this name.
func KnownListener(name string) bool { return listed(listenerNames, name) }

// KnownListeners returns the names of ejabberd's listening modules.
func KnownListeners() []string { return strings.Fields(listenerNames) }

// KnownHandler reports whether ejabberd has an HTTP request handler of this
// name.
func KnownHandler(name string) bool { return listed(handlerNames, name) }

func listed(names, name string) bool { return slices.Contains(strings.Fields(names), name) }
