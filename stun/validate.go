package stun

import (
	"fmt"
	"iter"
	"unicode/utf8"
)

// Validate yields what is wrong with the options: names of options as in the tags,
// with what Listen and ListenPacket have against them. Those about relays count
// with UseTURN only.
func (o Options) Validate() iter.Seq2[string, string] {
	return func(yield func(option, msg string) bool) {
		problems := o.namesProblems()
		if o.UseTURN {
			problems = append(problems, o.relaysProblems()...)
		}
		for _, p := range problems {
			if p.is && !yield(p.option, p.msg) {
				return
			}
		}
	}
}

type problem struct {
	option string
	is     bool
	msg    string
}

func (o *Options) namesProblems() []problem {
	return []problem{
		{"server_name", !utf8.ValidString(o.ServerName), "is not UTF-8"},
		{"server_name", utf8.RuneCountInString(o.ServerName) > maxServerName, fmt.Sprintf("want at most %d characters", maxServerName)},
	}
}

func (o *Options) relaysProblems() []problem {
	return []problem{
		{"auth_type", o.AuthType != AuthUser && o.AuthType != AuthAnonymous, fmt.Sprintf("want %s or %s, got %q", AuthUser, AuthAnonymous, o.AuthType)},
		{"auth_realm", o.AuthType == AuthUser && o.AuthRealm == "", fmt.Sprintf("is empty, which auth_type %s does not allow", AuthUser)},
		{"auth_realm", utf8.RuneCountInString(o.AuthRealm) > maxRealm, fmt.Sprintf("want at most %d characters", maxRealm)},
		{"turn_min_port", o.MinPort < minPort || o.MinPort > maxPort, fmt.Sprintf("want %d to %d, got %d", minPort, maxPort, o.MinPort)},
		{"turn_max_port", o.MaxPort < minPort || o.MaxPort > maxPort, fmt.Sprintf("want %d to %d, got %d", minPort, maxPort, o.MaxPort)},
		{"turn_max_port", o.MaxPort < o.MinPort, fmt.Sprintf("%d is less than turn_min_port, %d", o.MaxPort, o.MinPort)},
		{"turn_max_allocations", o.MaxAllocations < 1, fmt.Sprintf("%d is less than 1", o.MaxAllocations)},
		{"turn_max_permissions", o.MaxPermissions < 1, fmt.Sprintf("%d is less than 1", o.MaxPermissions)},
		{"turn_max_lifetime", o.MaxLifetime < minMaxLifetime, fmt.Sprintf("want at least %v, got %v", minMaxLifetime, o.MaxLifetime)},
		{"turn_allocation_rate", o.AllocationRate < 0, fmt.Sprintf("%d is less than 0", o.AllocationRate)},
		{"turn_user_rate", o.UserRate < 0, fmt.Sprintf("%d is less than 0", o.UserRate)},
		{"turn_ipv4_address", o.IPv4Address.IsValid() && !o.IPv4Address.Unmap().Is4(), fmt.Sprintf("%s is no address of IPv4", o.IPv4Address)},
		{"turn_ipv6_address", o.IPv6Address.IsValid() && !o.IPv6Address.Unmap().Is6(), fmt.Sprintf("%s is no address of IPv6", o.IPv6Address)},
		{"turn_alternate_server", o.AlternateServer.IsValid() && o.AlternateServer.Port() == 0, fmt.Sprintf("%s has no port", o.AlternateServer)},
	}
}
