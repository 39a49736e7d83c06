package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// arguments returns those of the load generator.
func (b *bench) arguments(r *row, p, other *peer) ([]string, error) {
	args := slices.Clone(r.args)
	if r.profile.turn {
		if p.name != "tidewaiter" {
			args = append(args, "-loss", "1") // what others lose is told below the table
		}
		return append(args, "-addr", loopback(p.at.second), "-user", turnUser, "-password", turnPassword), nil
	}
	if r.by == byCalls {
		return append(args, r.web(p)...), nil
	}
	args = append(b.target(p), args...)
	if r.by != direct {
		args = append(args, r.web(p)...)
	}
	if r.own > 0 {
		args = append(args, "-user", r.name, "-accounts", strconv.Itoa(r.own))
	}
	second := loopback(p.at.second)
	switch r.command {
	case "component":
		args = append(args, "-component-addr", second, "-component-domain", componentDomain, "-secret", componentSecret)
	case "federation":
		args = append(args, "-peer-addr", other.running.addr, "-peer-domain", other.at.domain, "-peer-pid", strconv.Itoa(other.running.pid()))
	case "domains":
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		b.names.set("*."+idleSuffix, port)
		args = append(args, "-addr", second, "-listen", loopback(port), "-suffix", idleSuffix)
	}
	return args, nil
}

// idleSuffix is what the names of remote domains that do nothing end with.
const idleSuffix = "idle.example"

// Exit statuses of the load generator.
const (
	exitFaults     = 3
	exitNotOffered = 4
	exitNoRoom     = 5
)

// target returns the arguments of the load generator for an XMPP server.
func (b *bench) target(p *peer) []string {
	args := []string{"-addr", p.running.addr, "-domain", p.at.domain, "-accounts", strconv.Itoa(b.scale.accounts)}
	if p.bare {
		args = append(args, "-no-from")
	}
	return args
}

// generate runs the load generator. The error is what it has to say; there may
// be a result all the same.
func (b *bench) generate(ctx context.Context, p *peer, command string, args ...string) (r meter.Result, code int, err error) {
	all := []string{command, "-pid", strconv.Itoa(p.running.pid())}
	cmd := exec.CommandContext(ctx, b.load, append(all, args...)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return r, -1, err
		}
		code = exit.ExitCode()
	}
	if code != 0 && code != exitFaults {
		return r, code, errors.New(strings.TrimSpace(said.String()))
	}
	if code == exitFaults {
		_, _ = b.log.Write(said.Bytes())
	}
	return r, code, json.Unmarshal(out.Bytes(), &r)
}
