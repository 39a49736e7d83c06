package api

import (
	"encoding/base64"
	"net/http"
	"reflect"
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd"
)

// basic returns the header of a user.
func basic(user, password string) []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}
}

const (
	wrongBasic  = `{"status":"error","code":10,"message":"wrong user or password; the user is an address, as in user@host"}`
	wrongBearer = `{"status":"error","code":10,"message":"the token is wrong or has expired"}`
	noAccounts  = `"authentication is not possible now; try again later"`
)

func TestCredentials(t *testing.T) {
	nobody := acl.Subject{IP: client, From: "mod_http_api", Tag: "ops"}
	ana := nobody
	ana.User, ana.Server = "ana", "localhost"
	withToken := ana
	withToken.Token, withToken.Scopes = true, "ejabberd:admin"
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	tests := []struct {
		name   string
		header []string
		status int
		body   string
		want   acl.Subject // who asks for permission
	}{
		{"none", nil, 200, "0", nobody},
		{"password", basic("ana@localhost", "anchor: off"), 200, "0", ana},
		{"other case", basic("Ana@LocalHost", "anchor: off"), 200, "0", ana},
		{"with a resource", basic("ana@localhost/x", "anchor: off"), 200, "0", ana},
		{"small letters", []string{"Authorization", "basic " + basic("ana@localhost", "anchor: off")[1][6:]}, 200, "0", ana},
		{"token", bearer("tide"), 200, "0", withToken},
		{"token with blanks", bearer("  tide "), 200, "0", withToken},
		{"token by another word", []string{"Authorization", "bearer tide"}, 200, "0", withToken},

		{"wrong password", basic("ana@localhost", "x"), 401, wrongBasic, acl.Subject{}},
		{"no password", basic("ana@localhost", ""), 401, wrongBasic, acl.Subject{}},
		{"nobody", basic("bo@localhost", "anchor: off"), 401, wrongBasic, acl.Subject{}},
		{"a name alone", basic("ana", "anchor: off"), 401, wrongBasic, acl.Subject{}},
		{"no address", basic("@localhost", "anchor: off"), 401, wrongBasic, acl.Subject{}},
		{"nothing", basic("", ""), 401, wrongBasic, acl.Subject{}},
		{"not UTF-8", basic("ana@localhost", "\xff"), 401, wrongBasic, acl.Subject{}},
		{"address not UTF-8", basic("\xff@localhost", "x"), 401, wrongBasic, acl.Subject{}},
		{"no colon", []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("ana@localhost"))}, 401, wrongBasic, acl.Subject{}},
		{"no base64", []string{"Authorization", "Basic %"}, 401, wrongBasic, acl.Subject{}},
		{"scheme alone", []string{"Authorization", "Basic"}, 401, wrongBasic, acl.Subject{}},
		{"empty", []string{"Authorization", ""}, 401, wrongBasic, acl.Subject{}},
		{"other scheme", []string{"Authorization", "Digest username=ana"}, 401, wrongBasic, acl.Subject{}},
		{"both", append(bearer("tide"), basic("ana@localhost", "anchor: off")...), 401, wrongBasic, acl.Subject{}},
		{"twice", append(bearer("tide"), bearer("tide")...), 401, wrongBasic, acl.Subject{}},
		{"wrong token", bearer("x"), 401, wrongBearer, acl.Subject{}},
		{"no token", bearer(""), 401, wrongBearer, acl.Subject{}},
		{"accounts do not answer", basic("cy@localhost", "x"), 503, noAccounts, acl.Subject{}},
		{"tokens do not answer", bearer("fog"), 503, noAccounts, acl.Subject{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked acl.Subject
			h := handler(t, func(s acl.Subject, _ acl.Command) bool {
				asked = s
				return true
			})
			w := do(h, request(http.MethodPost, "yes", "{}", tt.header...))
			check(t, w, tt.status, tt.body)
			if asked != tt.want {
				t.Errorf("got the caller %v, want %v", asked, tt.want)
			}
			var challenge []string
			switch tt.body {
			case wrongBasic:
				challenge = []string{`Basic realm="api", charset="UTF-8"`, `Bearer realm="api"`}
			case wrongBearer:
				challenge = []string{`Basic realm="api", charset="UTF-8"`, `Bearer realm="api", error="invalid_token"`}
			}
			if got := w.Header()["Www-Authenticate"]; !reflect.DeepEqual(got, challenge) {
				t.Errorf("got WWW-Authenticate %q, want %q", got, challenge)
			}
		})
	}
}

// A token in the path or the query is an argument.
func TestTokenInTheQuery(t *testing.T) {
	h := handler(t, public)
	check(t, do(h, request(http.MethodGet, "stop?access_token=tide", "")), 403, denied)
	check(t, do(h, request(http.MethodGet, "yes?access_token=tide", "")), 400, `"unknown argument \"access_token\"; yes has none"`)
	check(t, do(h, request(http.MethodGet, "stop", "", "Authorization", "Bearer tide")), 200, "0")
}

// Wrong credentials come before everything else that a request may have wrong.
func TestWrongCredentialsFirst(t *testing.T) {
	h := handler(t, public)
	for _, r := range []*http.Request{
		request(http.MethodGet, "unknown", "", basic("ana@localhost", "x")...),
		request(http.MethodPost, "yes", "{", basic("ana@localhost", "x")...),
		request(http.MethodGet, "openapi.json", "", basic("ana@localhost", "x")...),
	} {
		check(t, do(h, r), 401, wrongBasic)
	}
}

// What browsers send for pages of other sites.
func TestForeignPages(t *testing.T) {
	const (
		json    = "application/json"
		refused = `{"status":"error","code":32,"message":"a page of another site needs a token, or a POST with the Content-Type application/json"}`
	)
	ana := basic("ana@localhost", "anchor: off")
	evil := []string{"Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site"}
	all := func(lists ...[]string) []string {
		var list []string
		for _, l := range lists {
			list = append(list, l...)
		}
		return list
	}
	local := func(s acl.Subject, _ acl.Command) bool { return s.IP == client || s.User == "ana" }
	notLocal := func(s acl.Subject, _ acl.Command) bool { return s.IP != client }
	tests := []struct {
		name   string
		may    permissions
		method string
		host   string
		header []string
		status int
		body   string
	}{
		{"curl", local, http.MethodGet, "localhost", nil, 200, "0"},
		{"form", local, http.MethodPost, "localhost", all(evil, []string{"Content-Type", "text/plain"}), 403, denied},
		{"script", local, http.MethodPost, "localhost", all(evil, []string{"Content-Type", json}), 403, denied},
		{"image", local, http.MethodGet, "localhost", []string{"Sec-Fetch-Site", "cross-site"}, 403, denied},
		{"another port", local, http.MethodGet, "localhost", []string{"Sec-Fetch-Site", "same-site"}, 403, denied},
		{"ours", local, http.MethodPost, "localhost", []string{"Origin", "http://localhost", "Sec-Fetch-Site", "same-origin"}, 200, "0"},
		{"rebound name", local, http.MethodPost, "evil.test", []string{"Origin", "http://evil.test"}, 403, denied},
		{"open to everybody", everybody, http.MethodPost, "localhost", evil, 200, "0"},
		{"forbidden here", notLocal, http.MethodPost, "localhost", evil, 403, denied},

		{"token", local, http.MethodGet, "localhost", all(evil, []string{"Authorization", "Bearer tide"}), 200, "0"},
		{"password in a script", local, http.MethodPost, "localhost", all(evil, ana, []string{"Content-Type", json}), 200, "0"},
		{"password in a script, charset", local, http.MethodPost, "localhost", all(evil, ana, []string{"Content-Type", "Application/JSON; charset=utf-8"}), 200, "0"},
		{"password in a form", local, http.MethodPost, "localhost", all(evil, ana, []string{"Content-Type", "text/plain"}), 403, refused},
		{"form that hides its type", local, http.MethodPost, "localhost", all(evil, ana, []string{"Content-Type", "text/plain; application/json"}), 403, refused},
		{"password without a type", local, http.MethodPost, "localhost", all(evil, ana), 403, refused},
		{"password in an image", local, http.MethodGet, "localhost", all(evil, ana, []string{"Content-Type", json}), 403, refused},
		{"wrong password in an image", local, http.MethodGet, "localhost", all(evil, basic("ana@localhost", "x")), 403, refused},
		{"password of curl", local, http.MethodGet, "localhost", ana, 200, "0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(tt.method, "yes", "{}", tt.header...)
			r.Host = tt.host
			check(t, do(handler(t, tt.may), r), tt.status, tt.body)
		})
	}
	t.Run("the description", func(t *testing.T) {
		r := request(http.MethodGet, documentName, "", evil...)
		if n := len(describe(t, handler(t, local), r).Paths); n != 0 {
			t.Errorf("a page of another site sees %d commands, want none", n)
		}
		r = httpd.WithInfo(request(http.MethodGet, documentName, ""), httpd.InfoOf(r))
		if n := len(describe(t, handler(t, local), r).Paths); n == 0 {
			t.Error("callers of this machine see no commands")
		}
	})
}
