import { OperatorCommand } from '../../cli/operator-command.ts';
import { OperatorError } from '../../cli/operator-error.ts';
import { samlMetadata, samlUpstream } from '../../relay/saml.ts';

export default class RelaySamlMetadata extends OperatorCommand {
  static override description = 'print the metadata of the relay, for the SAML identity provider';
  static override examples = [
    '<%= config.bin %> relay saml-metadata --config /etc/hoop/relay.yaml > hoop.xml',
  ];

  async run(): Promise<unknown> {
    const { flags } = await this.parse(RelaySamlMetadata);
    const config = await this.relayConfig(flags);
    const upstream = samlUpstream(config);
    if (upstream === null)
      throw new OperatorError('saml-not-configured', 'nobody signs in to this relay by SAML', {
        hint: 'set identity.upstream of kind saml in relay.yaml',
      });
    const { entityId, acsUrl, xml } = await samlMetadata(config, upstream);
    this.print(xml.trimEnd());
    return { entityId, acsUrl, metadata: xml };
  }
}
