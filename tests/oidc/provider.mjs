// An OpenID provider with one client: `provider.mjs REDIRECT AFTER_LOGOUT` prints its issuer. Any password is right. The person
// `ada` is an auditor, and others are in no group.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [redirect, afterLogout] = process.argv.slice(2);
const server = createServer();
server.listen(0, '127.0.0.1', () => {
    const issuer = `http://127.0.0.1:${server.address().port}`;
    const provider = new Provider(issuer, {
        clients: [{
            client_id: 'audit',
            client_secret: 'a secret: 100% +/&=',
            redirect_uris: [redirect],
            post_logout_redirect_uris: [afterLogout],
        }],
        claims: { openid: ['sub'], profile: ['name', 'groups'] },
        conformIdTokenClaims: false,
        cookies: { keys: ['a key of the tests'] },
        features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
        findAccount: (_, id) => ({
            accountId: id,
            claims: () => ({ sub: id, name: `${id} of the test`, groups: id === 'ada' ? ['auditors'] : [] }),
        }),
        pkce: { required: () => true },
    });
    server.on('request', provider.callback());
    console.log(issuer);
});
// The test closes standard input when it ends.
process.stdin.on('end', () => process.exit()).resume();
