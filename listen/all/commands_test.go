package all_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kolo/xmlrpc"

	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/host"
)

const commandsConfig = `
hosts: [localhost, quay.test]
certfiles: [harbour.pem]
oauth_access: all
modules:
  mod_http_api: {}
  mod_last: {}
  mod_offline: {}
  mod_private: {}
  mod_roster: {}
  mod_stun_disco: {secret: barnacle, services: [{host: 192.0.2.3, type: turn}]}
  mod_vcard: {}
api_permissions:
  everybody: {from: [mod_http_api, ejabberd_xmlrpc], who: all, what: "*"}
listen:
  - {port: 5223, ip: 192.0.2.1, module: ejabberd_c2s, tls: true}
  - port: 5280
    ip: 192.0.2.1
    module: ejabberd_http
    request_handlers: {/api: mod_http_api, /rpc: ejabberd_xmlrpc}
`

// commandCall is a call of a command, and what the HTTP API answers: … stands for any
// text, # for a number.
type commandCall struct{ name, args, want string }

// commandCalls are calls of all commands, one after the other. ana is there.
func commandCalls() []commandCall {
	const ana, bo, cy = `"user":"ana","host":"localhost"`, `"user":"bo","host":"localhost"`, `"user":"cy","host":"quay.test"`
	const session = `"connection":"c2s_tls","ip":"…","node":"…","port":#,"priority":3,"resource":"x","status":"available","statustext":"aboard","uptime":#`
	const contact = `{"groups":["Crew"],"jid":"bo@localhost","nick":"Bo","pending":"none","subscription":"both"}`
	return []commandCall{
		{"status", `{}`, `"The node … is started\n…"`},
		{"registered_vhosts", `{}`, `["localhost","quay.test"]`},
		{"register", `{` + cy + `,"password":"capstan"}`, `"User cy@quay.test successfully registered"`},
		{"registered_users", `{"host":"quay.test"}`, `["cy"]`},
		{"check_account", `{` + cy + `}`, `0`},
		{"check_password", `{` + cy + `,"password":"wrong"}`, `1`},
		{"change_password", `{` + cy + `,"newpass":"halyard"}`, `0`},
		{"check_password", `{` + cy + `,"password":"halyard"}`, `0`},
		{"ban_account", `{` + cy + `,"reason":"mutiny"}`, `0`},
		{"list_banned", `{"host":"quay.test"}`, `["cy@quay.test"]`},
		{"count_banned", `{"host":"quay.test"}`, `1`},
		{"get_ban_details", `{` + cy + `}`, `…"mutiny"…`},
		{"unban_account", `{` + cy + `}`, `0`},

		{"connected_users", `{}`, `["ana@localhost/x"]`},
		{"connected_users_number", `{}`, `1`},
		{"connected_users_vhost", `{"host":"localhost"}`, `["ana@localhost/x"]`},
		{"connected_users_info", `{}`, `[{"connection":"c2s_tls","ip":"…","jid":"ana@localhost/x",` + strings.SplitN(session, `,`, 3)[2] + `}]`},
		{"user_sessions_info", `{` + ana + `}`, `[{` + session + `}]`},
		{"user_resources", `{` + ana + `}`, `["x"]`},
		{"num_resources", `{` + ana + `}`, `1`},
		{"resource_num", `{` + ana + `,"num":1}`, `"x"`},
		{"status_num", `{"status":"available"}`, `1`},
		{"status_num_host", `{"host":"quay.test","status":"available"}`, `0`},
		{"status_list", `{"status":"available"}`, `[{"jid":"ana@localhost/x","priority":3,"status":"aboard"}]`},
		{"status_list_host", `{"host":"localhost","status":"available"}`, `[{"jid":"ana@localhost/x","priority":3,"status":"aboard"}]`},
		{"get_presence", `{` + ana + `}`, `{"jid":"ana@localhost/x","show":"available","status":"aboard"}`},
		{"set_presence", `{` + ana + `,"resource":"x","type":"available","show":"away","status":"below","priority":1}`, `0`},
		{"get_presence", `{` + ana + `}`, `{"jid":"ana@localhost/x","show":"away","status":"below"}`},
		{"stats", `{"name":"onlineusers"}`, `1`},
		{"stats_host", `{"name":"registeredusers","host":"localhost"}`, `2`},

		{"add_rosteritem", `{"localuser":"ana","localhost":"localhost",` + bo + `,"nick":"Bo","groups":["Crew"],"subs":"both"}`, `0`},
		{"get_roster", `{` + ana + `}`, `[` + contact + `]`},
		{"get_roster_count", `{` + ana + `}`, `1`},
		{"process_rosteritems", `{"action":"list","subs":"any","asks":"any","users":"ana@localhost","contacts":"any"}`,
			`[{"contact":"bo@localhost","user":"ana@localhost"}]`},
		{"delete_rosteritem", `{"localuser":"ana","localhost":"localhost",` + bo + `}`, `0`},

		{"send_message", `{"type":"chat","from":"cy@quay.test","to":"bo@localhost","subject":"","body":"one"}`, `0`},
		{"send_stanza", `{"from":"cy@quay.test","to":"bo@localhost","stanza":"<message type='chat'><body>two</body></message>"}`, `0`},
		{"send_stanza_c2s", `{` + ana + `,"resource":"x","stanza":"<message type='chat' to='bo@localhost'><body>three</body></message>"}`, `0`},
		{"get_offline_count", `{` + bo + `}`, `3`},
		{"set_last", `{` + bo + `,"timestamp":1500045311,"status":"ashore"}`, `0`},
		{"get_last", `{` + bo + `}`, `{"status":"ashore","timestamp":"2017-07-14T15:15:11Z"}`},
		{"set_vcard", `{` + bo + `,"name":"NICKNAME","content":"Bo & co"}`, `0`},
		{"get_vcard", `{` + bo + `,"name":"NICKNAME"}`, `"Bo & co"`},
		{"private_set", `{` + bo + `,"element":"<notes xmlns='n'/>"}`, `0`},
		{"private_get", `{` + bo + `,"element":"notes","ns":"n"}`, `"…<notes xmlns='n'/>…"`},
		{"get_turn_credentials", `{` + ana + `}`,
			`[{"expires":"…","host":"192.0.2.3","password":"…","port":3478,"transport":"udp","type":"turn","username":"…"}]`},

		{"oauth_add_client_code", `{"client_id":"dinghy","client_name":"Dinghy","redirect_uris":["http://127.0.0.1:9/a"]}`, `"Client dinghy registered"`},
		{"oauth_add_client_implicit", `{"client_id":"raft","client_name":"Raft","redirect_uri":"https://a.test/"}`, `"Client raft registered"`},
		{"oauth_add_client_password", `{"client_id":"skiff","client_name":"Skiff","secret":"oars-and-sail"}`, `"Client skiff registered"`},
		{"oauth_remove_client", `{"client_id":"raft"}`, `"Client removed"`},
		{"oauth_issue_token", `{"jid":"bo@localhost","ttl":60,"scopes":["sasl_auth"]}`, `{"expires_in":"60 seconds","scopes":["sasl_auth"],"token":"…"}`},
		{"oauth_list_tokens", `{}`, `[{"expires_in":"# seconds","scope":"sasl_auth","token":"…","user":"bo@localhost"}]`},
		{"oauth_revoke_token", `{"token":"TOKEN"}`, `"Token revoked"`},

		{"incoming_s2s_number", `{}`, `0`},
		{"outgoing_s2s_number", `{}`, `0`},
		{"stop_s2s_connections", `{}`, `0`},
		{"get_loglevel", `{}`, `"info"`},
		{"set_loglevel", `{"loglevel":"debug"}`, `0`},
		{"reopen_log", `{}`, `0`},
		{"rotate_log", `{}`, `0`},
		{"dump_config", `{"out":"ejabberd.yml"}`, `0`},
		{"reload_config", `{}`, `0`},
		{"gc", `{}`, `0`},

		{"delete_old_users_vhost", `{"host":"quay.test","days":1}`, `"Deleted 1 users: [\"cy@quay.test\"]"`},
		{"delete_old_users", `{"days":36500}`, `"Deleted 0 users: []"`},
		{"kick_session", `{` + ana + `,"resource":"x","reason":"land ahoy"}`, `0`},
		{"kick_user", `{` + bo + `}`, `"Kicked sessions: 0"`},
		{"kick_users", `{"host":"quay.test"}`, `0`},
		{"unregister", `{` + bo + `}`, `""`},
		{"stop_kindly", `{"delay":0,"announcement":"bye"}`, `0`},
		{"stop", `{}`, `0`},
		{"restart_kindly", `{"delay":0,"announcement":"bye"}`, `0`},
		{"restart", `{}`, `0`},
		{"halt", `{}`, `0`},
	}
}

// Each command does the same by the HTTP API and by XML-RPC.
func TestCommandsByHTTP(t *testing.T) {
	for name, call := range map[string]func(*http.Client, *command.Command, string) (string, error){"API": byAPI, "XML-RPC": byXMLRPC} {
		t.Run(name, func(t *testing.T) {
			n, dir := newNetwork(), t.TempDir()
			writeCertificate(t, dir+"/harbour.pem", "localhost", "quay.test")
			p := run(t, n)
			p.apply(dir+"/ejabberd.yml", commandsConfig)
			ok := func(context.Context) error { return nil }
			if err := p.host.SetProcess(host.Process{
				Stop: func(time.Duration) {}, Restart: func(time.Duration) {}, Halt: func() {},
				Reload: ok, DumpConfig: func(context.Context, string) error { return nil }, ReopenLog: ok,
				LogLevel: func() string { return "info" }, SetLogLevel: func(string) error { return nil },
				S2SNumbers: func() (int, int) { return 0, 0 }, StopS2S: ok,
			}); err != nil {
				t.Fatal(err)
			}
			ana := p.client("192.0.2.1:5223", "ana")
			defer ana.Close()
			ana.Send("<presence><status>aboard</status><priority>3</priority></presence>")
			ana.ExpectMatch(`<presence .*?</presence>`)
			transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				return n.socket(t, "192.0.2.1:5280").Dial(), nil
			}}
			defer transport.CloseIdleConnections()
			p.callAll(&http.Client{Transport: transport}, call)
		})
	}
}

// callAll makes the calls, which must be of all commands that there are.
func (p *program) callAll(client *http.Client, call func(*http.Client, *command.Command, string) (string, error)) {
	p.Helper()
	var called []string
	var token string // of the last answer with one
	for _, c := range commandCalls() {
		called = append(called, c.name)
		cmd, ok := p.host.Commands.At(c.name, command.Newest)
		if !ok {
			p.Errorf("there is no command %s", c.name)
			continue
		}
		got, err := call(client, &cmd, strings.Replace(c.args, "TOKEN", token, 1))
		if m := regexp.MustCompile(`"token":"([^"]+)"`).FindStringSubmatch(got); m != nil {
			token = m[1]
		}
		want := "^" + strings.NewReplacer("…", ".*", "#", `\d+`).Replace(regexp.QuoteMeta(c.want)) + "$"
		if err != nil || !regexp.MustCompile(want).MatchString(got) {
			p.Errorf("%s %s: got %s and %v, want %s", c.name, c.args, got, err, c.want)
		}
	}
	for _, cmd := range p.host.Commands.List() {
		if !slices.Contains(called, cmd.Name) {
			p.Errorf("%s is not called", cmd.Name)
		}
	}
}

// byAPI calls a command by the HTTP API and returns its answer.
func byAPI(client *http.Client, c *command.Command, args string) (string, error) {
	r, err := client.Post("http://localhost/api/"+c.Name, "application/json", strings.NewReader(args))
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("the status is %d", r.StatusCode)
	}
	var v any
	if err == nil {
		err = json.Unmarshal(body, &v)
	}
	if err != nil {
		return string(body), err
	}
	return jsonOf(v)
}

// jsonOf writes a value with its members sorted.
func jsonOf(v any) (string, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSpace(out.String()), err
}

// byXMLRPC does so by XML-RPC, and returns the answer as the HTTP API would give it.
func byXMLRPC(client *http.Client, c *command.Command, args string) (string, error) {
	var values map[string]any
	d := json.NewDecoder(strings.NewReader(args))
	d.UseNumber()
	if err := d.Decode(&values); err != nil {
		return "", err
	}
	for name, v := range values {
		if n, ok := v.(json.Number); ok {
			i, err := n.Int64()
			if err != nil {
				return "", err
			}
			values[name] = i
		}
	}
	rpc, err := xmlrpc.NewClient("http://localhost/rpc", client.Transport)
	if err != nil {
		return "", err
	}
	defer rpc.Close()
	var result map[string]any
	if err := rpc.Call(c.Name, values, &result); err != nil {
		return "", err
	}
	member := c.Result.Name
	if c.Result.Type == command.Type(command.ResTuple) {
		member = "text"
	}
	v, ok := result[member]
	if !ok || len(result) != 1 {
		return fmt.Sprint(result), fmt.Errorf("the result is not a struct of %s", member)
	}
	if v == nil { // what the package makes of an empty string
		v = ""
	}
	return jsonOf(v)
}
