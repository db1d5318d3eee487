package lab

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// The users that the lab has certificates and kubeconfigs for; each is also the name of its files.
const (
	admin          = "admin"
	controllerUser = "controller-manager"
	schedulerUser  = "scheduler"
	nodesUser      = "nodes"
)

// maxSocketPath is what the address of a unix socket may be long, with room to spare.
const maxSocketPath = 100

// auditPolicy has the API server write down what service accounts ask for, but for those of its own controllers. Bodies are
// kept where they may ask for a dry run. Requests for /version are the marks by which a reader knows that it has read all.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  userGroups: ["system:serviceaccounts:kube-system"]
- level: Metadata
  nonResourceURLs: ["/version"]
- level: Request
  userGroups: ["system:serviceaccounts"]
  verbs: [create, update, patch, delete, deletecollection]
- level: Metadata
  userGroups: ["system:serviceaccounts"]
- level: None
`

// plane knows the files, ports and command lines of one control plane.
type plane struct {
	dir                                    string
	apiPort, controllerPort, schedulerPort int
	nodes                                  int
}

func (p plane) server() string                { return "https://127.0.0.1:" + strconv.Itoa(p.apiPort) }
func (p plane) pki(file string) string        { return filepath.Join(p.dir, "pki", file) }
func (p plane) kubeconfig(user string) string { return filepath.Join(p.dir, user+".kubeconfig") }
func (p plane) auditPolicyFile() string       { return filepath.Join(p.dir, "audit-policy.yaml") }

// etcdURL is a socket in the state directory: no port to race for, and nobody else can reach it.
func (p plane) etcdURL() string { return "unix://" + p.socket() }
func (p plane) socket() string  { return filepath.Join(p.dir, "etcd.sock") }

// prepare writes certificates, kubeconfigs and the audit policy, and returns what a client of the administrator needs.
func (p plane) prepare() (*x509.CertPool, tls.Certificate, error) {
	var none tls.Certificate
	if n := len(p.socket()); n > maxSocketPath {
		return nil, none, fmt.Errorf("the state directory %s must leave the path of etcd's socket within %d bytes, got %d; set TMPDIR to a shorter path",
			p.dir, maxSocketPath, n)
	}
	for _, dir := range []string{"pki", "logs"} {
		if err := os.MkdirAll(filepath.Join(p.dir, dir), 0o700); err != nil {
			return nil, none, fmt.Errorf("make the state directory: %w", err)
		}
	}
	authority, err := p.certificates()
	if err != nil {
		return nil, none, fmt.Errorf("make certificates: %w", err)
	}
	for _, user := range []string{admin, controllerUser, schedulerUser, nodesUser} {
		if err := os.WriteFile(p.kubeconfig(user), []byte(p.kubeconfigText(user)), 0o600); err != nil {
			return nil, none, fmt.Errorf("write the kubeconfig of %s: %w", user, err)
		}
	}
	if err := os.WriteFile(p.auditPolicyFile(), []byte(auditPolicy), 0o600); err != nil {
		return nil, none, fmt.Errorf("write the audit policy: %w", err)
	}
	client, err := tls.LoadX509KeyPair(p.pki(admin+".crt"), p.pki(admin+".key"))
	if err != nil {
		return nil, none, fmt.Errorf("read the administrator's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.cert)
	return roots, client, nil
}

// certificates makes the certificate authority of the cluster, and everything that it and its companions sign.
func (p plane) certificates() (*authority, error) {
	dir := p.pki("")
	ca, err := newAuthority(dir, "ca")
	if err != nil {
		return nil, err
	}
	front, err := newAuthority(dir, "front-proxy-ca")
	if err != nil {
		return nil, err
	}
	addresses := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)}
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	if err := ca.issueServer(dir, "apiserver", addresses, names); err != nil {
		return nil, err
	}
	for _, leaf := range []struct {
		by                       *authority
		file, name, organization string
	}{
		{ca, admin, "lab-admin", "system:masters"},
		{ca, controllerUser, "system:kube-controller-manager", ""},
		{ca, schedulerUser, "system:kube-scheduler", ""},
		{ca, nodesUser, "lab-nodes", "system:masters"},
		{front, "front-proxy", "front-proxy-client", ""},
	} {
		if err := leaf.by.issueClient(dir, leaf.file, leaf.name, leaf.organization); err != nil {
			return nil, err
		}
	}
	_, key, err := newKey()
	if err != nil {
		return nil, err
	}
	return ca, os.WriteFile(p.pki("sa.key"), key, 0o600)
}

func (p plane) etcd() []string {
	return []string{
		"--data-dir=" + filepath.Join(p.dir, "etcd"),
		"--listen-client-urls=" + p.etcdURL(),
		"--advertise-client-urls=http://127.0.0.1:1", // a socket cannot be advertised; nobody asks
		"--listen-peer-urls=http://127.0.0.1:0",
		"--unsafe-no-fsync",
		"--log-level=warn",
	}
}

func (p plane) apiServer() []string {
	return []string{
		"--etcd-servers=" + p.etcdURL(),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(p.apiPort),
		"--endpoint-reconciler-type=none", // a loopback address is no valid endpoint
		"--tls-cert-file=" + p.pki("apiserver.crt"),
		"--tls-private-key-file=" + p.pki("apiserver.key"),
		"--client-ca-file=" + p.pki("ca.crt"),
		"--requestheader-client-ca-file=" + p.pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + p.pki("front-proxy.crt"),
		"--proxy-client-key-file=" + p.pki("front-proxy.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + p.pki("sa.key"),
		"--service-account-signing-key-file=" + p.pki("sa.key"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--anonymous-auth=false",
		"--allow-privileged=true",
		"--audit-policy-file=" + p.auditPolicyFile(),
		"--audit-log-path=" + filepath.Join(p.dir, "audit.log"),
		"--audit-log-maxsize=4096", // MB: never rotated
		// Pods leave a dead node after 2 s instead of 5 min.
		"--default-not-ready-toleration-seconds=2",
		"--default-unreachable-toleration-seconds=2",
		"--shutdown-delay-duration=0s",
	}
}

func (p plane) controllerManager() []string {
	return append(p.withUser(controllerUser),
		"--bind-address=127.0.0.1",
		"--secure-port="+strconv.Itoa(p.controllerPort),
		"--cert-dir="+filepath.Join(p.dir, ControllerManager),
		"--service-account-private-key-file="+p.pki("sa.key"),
		"--root-ca-file="+p.pki("ca.crt"),
		"--cluster-signing-cert-file="+p.pki("ca.crt"),
		"--cluster-signing-key-file="+p.pki("ca.key"),
		"--use-service-account-credentials",
		"--leader-elect=false",
		"--allocate-node-cidrs=false",
		// A node without heartbeats is found dead after 8 s instead of 50 s.
		"--node-monitor-period=1s",
		"--node-monitor-grace-period=8s",
		"--horizontal-pod-autoscaler-sync-period=2s",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
	)
}

func (p plane) scheduler() []string {
	return append(p.withUser(schedulerUser),
		"--bind-address=127.0.0.1",
		"--secure-port="+strconv.Itoa(p.schedulerPort),
		"--cert-dir="+filepath.Join(p.dir, Scheduler),
		"--leader-elect=false",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
	)
}

func (p plane) kubelets() []string {
	return []string{"--kubeconfig=" + p.kubeconfig(nodesUser), "--nodes=" + strconv.Itoa(p.nodes)}
}

func (p plane) withUser(user string) []string {
	file := p.kubeconfig(user)
	return []string{
		"--kubeconfig=" + file, "--authentication-kubeconfig=" + file, "--authorization-kubeconfig=" + file,
		"--authentication-skip-lookup",
	}
}

func (p plane) kubeconfigText(user string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: lab
clusters:
- name: lab
  cluster:
    server: %s
    certificate-authority: %s
contexts:
- name: lab
  context: {cluster: lab, user: %s}
users:
- name: %s
  user:
    client-certificate: %s
    client-key: %s
`, p.server(), p.pki("ca.crt"), user, user, p.pki(user+".crt"), p.pki(user+".key"))
}
