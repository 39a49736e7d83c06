package main

import (
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	tests := []struct {
		name, args string
		err        string // "": accepted
	}{
		{"none", "", ""},
		{"all", "-config a.yml -data d -check -register ana@one.test:pw -register bo@one.test:p:w", ""},
		{"register without password", "-register ana@one.test", "want user@host:password"},
		{"register with an empty password", "-register ana@one.test:", "want user@host:password"},
		{"register a domain", "-register one.test:pw", "not of the form user@host"},
		{"register a resource", "-register ana@one.test/x:pw", "not of the form user@host"},
		{"register nonsense", "-register @:pw", "not a JID"},
		{"file without -config", "a.yml", "a configuration file goes with -config"},
		{"operation", "-config a.yml -drain 1m -metrics 127.0.0.1:9180 -log-format json", ""},
		{"diff", "-check -config a.yml -diff b.yml", ""},
		{"diff without -check", "-config a.yml -diff b.yml", "-diff OLD goes with -check"},
		{"diff without -config", "-check -diff b.yml", "-diff OLD goes with -check"},
		{"DNS", "-check -dns", ""},
		{"DNS of a file", "-check -dns=verify -config a.yml", ""},
		{"DNS in other words", "-check -dns=compare", `want -dns or -dns=verify`},
		{"DNS without -check", "-dns", "-dns goes with -check"},
		{"DNS with -diff", "-check -dns -config a.yml -diff b.yml", "and not with -diff"},
		{"negative drain", "-drain -1s", "want no negative duration"},
		{"drain without a unit", "-drain 5", "invalid value"},
		{"unknown format", "-log-format xml", "want text or json"},
		{"unknown flag", "-nothing", "not defined"},
		{"help", "-h", "help requested"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := parseFlags(strings.Fields(tt.args), t.Output())
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
			if tt.name == "all" && (len(f.accounts) != 2 || f.accounts[1].password != "p:w" || !f.check) {
				t.Errorf("got %+v", f)
			}
		})
	}
}

// An error must not show the password: it may end in a log.
func TestRegisterErrorHidesPassword(t *testing.T) {
	for _, value := range []string{"bo:s3cret", "@:s3cret", "bo@one.test/x:s3cret"} {
		if _, err := parseFlags([]string{"-register", value}, t.Output()); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("-register %q: got %v, want an error without the password", value, err)
		}
	}
}
