package conf

// modernise rewrites spellings of the top level that are deprecated or have
// two forms.
func (d *Document) modernise() {
	d.startTLSMode(d.top.Get("s2s_use_starttls"))
	for _, section := range []string{"host_config", "append_host_config"} {
		n := d.top.Get(section)
		if n == nil {
			continue
		}
		for _, host := range n.Map {
			d.startTLSMode(host.Value.Get("s2s_use_starttls"))
		}
	}
}

// startTLSMode makes one of the words false, optional, required and
// required_trusted of what s2s_use_starttls may be.
func (d *Document) startTLSMode(n *Node) {
	if n == nil || !n.scalar() {
		return
	}
	switch n.Text {
	case "true", "yes", "on", "y":
		n.Kind, n.Text = String, "optional"
	case "false", "no", "off", "n":
		n.Kind, n.Text = String, "false"
	case "required_trusted":
		d.Warnf(n, "deprecated: means required, and that dialback is off; ejabberd wants required, and mod_s2s_dialback left out of modules")
	}
}

// removedOption reports whether ejabberd once had a top-level key, and what to
// use in its place.
func removedOption(name string) (instead string, removed bool) {
	switch name {
	case "access":
		return "; use access_rules", true
	case "commands", "commands_admin_access", "ejabberdctl_access_commands":
		return "; use api_permissions", true
	case "route_subdomains":
		return "; use s2s_access", true
	case "ca_path":
		return "; use ca_file", true
	case "ldap_group_cache_size", "ldap_user_cache_size":
		return "; use cache_size", true
	case "ldap_group_cache_validity", "ldap_user_cache_validity":
		return "; use cache_life_time", true
	case "iqdisc", "log_rate_limit", "log_rotate_date", "ldap_local_filter", "extauth_cache", "node_start",
		"override_global", "override_local", "override_acls":
		return "", true
	}
	return "", false
}
