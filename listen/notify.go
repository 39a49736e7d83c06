package listen

import "github.com/tidewaiter/tidewaiter/internal/sock"

// Notification is something that a service manager wants to know about a
// process.
type Notification int

const (
	// Ready: the process serves. After Reloading, it serves again.
	Ready Notification = iota
	// Reloading: the process reads its configuration again; Ready follows.
	Reloading
	// Stopping: the process ends.
	Stopping
	// Status: nothing has changed but the status text.
	Status
)

// Notify tells systemd, or another service manager with its protocol, about
// the process; status is a line of text for humans and may be empty. It does
// nothing and returns nil when the process has no such manager. It blocks no
// longer than a second. See sd_notify(3).
func Notify(n Notification, status string) error {
	var parts []string
	switch n {
	case Ready:
		parts = append(parts, "READY=1")
	case Reloading:
		parts = sock.Reloading()
	case Stopping:
		parts = append(parts, "STOPPING=1")
	}
	if status != "" {
		parts = append(parts, "STATUS="+status)
	}
	if len(parts) == 0 {
		return nil
	}
	return sock.Notify(parts...)
}
