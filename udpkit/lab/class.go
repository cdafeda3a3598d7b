package lab

import (
	"bytes"
	"cmp"
	"crypto/rand"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const (
	// DefaultClassPort is where the teacher's lab of a class listens unless told otherwise.
	DefaultClassPort = 9000

	maxStudents = 200
)

// ClassConfig says which labs a class has.
type ClassConfig struct {
	// Students is the number of labs beside the teacher's, 1 to 200.
	Students int
	// Address is the IP address of the teacher's machine that students use. Default: 127.0.0.1.
	Address netip.Addr
	// Port is the TCP port of the teacher's lab; the students' are those that follow. Default:
	// 9000.
	Port int
}

//go:embed class.html
var classHTML string

var classPage = template.Must(template.New("class").Parse(classHTML))

// WriteClass writes a file for Docker Compose with a lab for the teacher and one for each student,
// on one network, with new tokens. It belongs beside the repository's docker-compose.yml, from
// which it takes what all labs have in common. It returns the address of the teacher's page, which
// has the students' links, once the labs run.
func WriteClass(w io.Writer, cfg ClassConfig) (page string, err error) {
	cfg.Port = cmp.Or(cfg.Port, DefaultClassPort)
	if !cfg.Address.IsValid() {
		cfg.Address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	switch {
	case cfg.Students < 1 || cfg.Students > maxStudents:
		return "", fmt.Errorf("%w: %d students is not between 1 and %d", ErrConfig, cfg.Students, maxStudents)
	case cfg.Port < 1 || cfg.Port+cfg.Students > 65535:
		return "", fmt.Errorf("%w: the ports %d to %d are not between 1 and 65535", ErrConfig, cfg.Port, cfg.Port+cfg.Students)
	case cfg.Address.IsUnspecified() || cfg.Address.IsMulticast() || cfg.Address.Zone() != "":
		return "", fmt.Errorf("%w: no browser can open %v: give the address that this machine has on the students' network", ErrConfig, cfg.Address)
	}
	// The teacher's is reached by another name than the students', whatever their address: a
	// browser sends the cookie of a lab to all labs of that name, and a student's may keep it.
	teacher := newSeat("teacher", "localhost", "127.0.0.1", cfg.Port)
	var students []seat
	for n := 1; n <= cfg.Students; n++ {
		host := cfg.Address.String()
		students = append(students, newSeat("student-"+strconv.Itoa(n), host, host, cfg.Port+n))
	}
	var html bytes.Buffer
	if err := classPage.Execute(&html, struct {
		Teacher  seat
		Students []seat
	}{teacher, students}); err != nil {
		return "", fmt.Errorf("lab: the teacher's page: %w", err)
	}
	page = teacher.link("/files/class.html")

	var file bytes.Buffer
	fmt.Fprintf(&file, `# A class of %d, made by udpkit class. It has the tokens of all labs: keep it to yourself.
#
# docker compose -f class.yml up --detach --wait
#         starts it, on one network that carries broadcasts. The teacher's page, with a link for each student:
#         %s
# docker compose -f class.yml exec teacher udpkit server
#         broadcasts, as the notebook server.ipynb of the teacher's lab does
# docker compose -f class.yml down
#         ends it. The notebooks of each lab stay in a volume of its own; with --volumes they are removed.
name: udpkit-class

x-student: &student
  extends: {file: docker-compose.yml, service: lab}
  user: "1000:1000"
  pull_policy: missing # the image is built for the teacher
  depends_on: [teacher]
  mem_limit: 1g
  pids_limit: 500
  command: [udpkit, lab, --no-browser, --address, 0.0.0.0, --port, "%s", --clients, "1", --join, teacher]

services:
  teacher:
    extends: {file: docker-compose.yml, service: lab}
    user: "1000:1000"
    configs: [{source: page, target: /home/udpkit/udp-notebooks/class.html}]
`, cfg.Students, page, portInside)
	teacher.write(&file)
	volumes := "  teacher:\n"
	for _, s := range students {
		// Compose does not take it from above.
		fmt.Fprintf(&file, "  %s:\n    <<: *student\n    build: !reset null\n", s.name)
		s.write(&file)
		volumes += "  " + s.name + ":\n"
	}
	fmt.Fprintf(&file, "\nvolumes:\n%s\nconfigs:\n  page:\n    content: |\n", volumes)
	for line := range strings.Lines(html.String()) {
		fmt.Fprintf(&file, "      %s", strings.ReplaceAll(line, "$", "$$"))
	}
	_, err = w.Write(file.Bytes())
	return page, err
}

// portInside is the port of a lab in its container, where docker-compose.yml looks for it.
const portInside = "${UDPKIT_PORT:-8888}"

// seat is one lab of a class.
type seat struct {
	name    string
	publish string // host and port
	url     *url.URL
	token   string
}

func newSeat(name, host, publish string, port int) seat {
	number := strconv.Itoa(port)
	return seat{
		name: name, publish: net.JoinHostPort(publish, number), token: rand.Text(),
		url: &url.URL{Scheme: "http", Host: net.JoinHostPort(host, number)},
	}
}

// write writes what no two labs have in common.
func (s seat) write(w io.Writer) {
	fmt.Fprintf(w, `    environment: {JUPYTER_TOKEN: %s, UDPKIT_PUBLIC_URL: "%s"}
    ports: !override ["%s:%s"]
    volumes: ["%s:/home/udpkit/udp-notebooks/my-notebooks"]
`, s.token, s.url, s.publish, portInside, s.name)
}

// link is the address of a page of the lab, token included.
func (s seat) link(path string) string {
	at := s.url.JoinPath(path)
	at.RawQuery = url.Values{"token": {s.token}}.Encode()
	return at.String()
}

// Name and Link are for the page.
func (s seat) Name() string { return strings.ReplaceAll(s.name, "-", " ") }
func (s seat) Link() string { return s.link("/lab/workspaces/" + startWorkspace) }
