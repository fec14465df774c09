/** Values of every kind that a detector has to find, and texts around them. All are examples from public documents or made up. */
import type { DetectorName } from '../../src/masking/detectors/catalog.ts';

/** Text in which the value stands between `[[` and `]]`; what is outside is context that the detector may need. */
export const planted: Readonly<Record<DetectorName, readonly string[]>> = {
  card: [
    '[[4111111111111111]]',
    '[[4111 1111 1111 1111]]',
    '[[5555-5555-5555-4444]]',
    '[[2223003122003222]]',
    '[[378282246310005]]',
    '[[3782 822463 10005]]',
    '[[6011111111111117]]',
    '[[30569309025904]]',
    '[[3530111333300000]]',
    '[[6200000000000005]]',
    'card [[4222222222222]]',
    'PAN=[[6304000000000000000]]',
  ],
  iban: [
    '[[DE89370400440532013000]]',
    '[[DE89 3704 0044 0532 0130 00]]',
    '[[GB29NWBK60161331926819]]',
    '[[FR14 2004 1010 0505 0001 3M02 606]]',
    '[[NO9386011117947]]',
    '[[MT84MALT011000012345MTLCAST001S]]',
    '[[nl91abna0417164300]]',
  ],
  'us-ssn': [
    '[[123-45-6789]]',
    'SSN [[123 45 6789]]',
    '"ssn":"[[123456789]]"',
    'social security: [[078051120]]',
  ],
  'uk-nhs': ['[[943 476 5919]]', 'NHS no. [[9434765919]]'],
  'uk-nino': ['[[AB123456C]]', '[[JG 10 37 59 A]]'],
  'de-steuer-id': ['[[86 095 742 719]]', 'Steuer-ID: [[86095742719]]', 'IdNr [[65929970489]]'],
  'fr-nir': ['[[185057800608491]]', '[[1 85 05 78 006 084 91]]'],
  'es-dni': ['[[12345678Z]]', '[[12345678-Z]]', '[[X1234567L]]', '[[Y2345678Z]]'],
  'it-codice-fiscale': ['[[RSSMRA85T10A562S]]', '[[rssmra85t10a562s]]'],
  'nl-bsn': ['BSN [[111222333]]', 'burgerservicenummer: [[123456782]]'],
  'pl-pesel': ['pesel: [[44051401359]]', '{"pesel":"[[02070803628]]"}'],
  'se-personnummer': ['personnummer [[811228-9874]]', 'pnr=[[198112289874]]', 'personnr [[19811228-9874]]'],
  'br-cpf': ['[[111.444.777-35]]', 'cpf [[11144477735]]'],
  'in-aadhaar': ['[[2345 6789 0124]]', 'Aadhaar: [[234567890124]]'],
  email: [
    '[[ana@example.com]]',
    '[[first.last+tag@mail.example.co.uk]]',
    "[[o'brien@example.org]]",
    '[[jürgen@müller.example]]',
    '[[a@b.io]]',
    '<[[ana@example.com]]>',
    '[[ana%40example.com]]',
    'mailto:[[ana@example.com]]?subject=x',
  ],
  phone: [
    '[[+49 171 1234567]]',
    '[[+14155550123]]',
    '[[+44 (0)20 7946 0958]]',
    '[[(555) 234-5678]]',
    '[[555-234-5678]]',
    '[[555.234.5678]]',
    '[[01 23 45 67 89]]',
    '[[020 7946 0958]]',
    '[[0171 12345678]]',
    '[[0171/1234567]]',
    'phone: [[4155550123]]',
    'tel [[01711234567]]',
  ],
  ipv4: ['[[192.168.1.20]]', '[[10.0.0.1]]', '[[203.0.113.7]]:5432', '[[8.8.4.44]]/32'],
  ipv6: [
    '[[2001:0db8:85a3:0000:0000:8a2e:0370:7334]]',
    '[[2001:db8:85a3:1:2:8a2e:370:7334]]',
    '[[fe80::1ff:fe23:4567:890a]]',
    '[[2001:db8::1]]/64',
    '[[::ffff:192.0.2.128]]',
  ],
  jwt: [
    '[[eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_DEF123]]',
    'jwt: [[eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.]]',
    '[[eyJhbGciOiJSU0EtT0FFUCJ9.b0tBTW.48V1_A.5eym8TW.XFBoMY]]',
  ],
  'private-key': [
    '[[-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJB\n-----END RSA PRIVATE KEY-----]]',
    '"[[-----BEGIN PRIVATE KEY-----\\nMIIBOgIBAAJB\\n-----END PRIVATE KEY-----]]\\n"',
    '[[-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE]]',
    '{"k":"[[-----BEGIN EC PRIVATE KEY-----\\nMHcCAQEE]]"}',
    '"{\\"k\\":\\"[[-----BEGIN EC PRIVATE KEY-----\\\\nMHcCAQEE]]\\"}"',
    '[[-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQdGBF\n-----END PGP PRIVATE KEY BLOCK-----]]',
    '"[[-----BEGIN RSA PRIVATE KEY-----\\n" +\n "MIIB" + "AAJB\\n-----END RSA PRIVATE KEY-----]]"',
  ],
  token: [
    '[[AKIAIOSFODNN7EXAMPLE]]',
    '[[ASIAIOSFODNN7EXAMPLE]]',
    '[[AIzaSyA1234567890abcdefghijklmnopqrstuv]]',
    '[[ghp_0123456789abcdefghijABCDEFGHIJ012345]]',
    '[[ghs_0123456789abcdefghijABCDEFGHIJ012345]]',
    '[[github_pat_11ABCDEFG0123456789ab_cdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJ]]',
    '[[glpat-0123456789abcdefghij]]',
    '[[xoxb-123456789012-abcdefGHIJK]]',
    'https://[[hooks.slack.com/services/T00000000/B00000000/XXXX0000]]',
    '[[sk_live_4eC39HqLyjWDarjtT1zdp7dc]]',
    '[[rk_test_4eC39HqLyjWDarjtT1zdp7dc]]',
    '[[whsec_4eC39HqLyjWDarjtT1zdp7dc]]',
    '[[sk-ant-api03-0123456789abcdefghij]]',
    '[[npm_0123456789abcdefghijABCDEFGHIJ012345]]',
    '[[ya29.a0AfH6SMBx1234567890abcdef]]',
    '[[hvs.CAESIJ1234567890abcdefghijklmn]]',
    '[[shpat_0123456789abcdef0123456789abcdef]]',
    '[[SG.ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf09kqeF8tAmbihYzrnopKc1s5cr]]',
    '[[dop_v1_0123456789abcdef0123456789abcdef01234567]]',
    '[[AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSQJW4D6]]',
  ],
  'url-password': [
    'postgres://user:[[s3cr3t]]@db.example.com/x',
    'redis://:[[hunter2]]@cache:6379',
    'https://u:[[p@ss:word]]@example.com',
  ],
  'parameter-password': [
    'host=db user=x password=[[abc]] dbname=y',
    'Server=db;User Id=sa;Password=[[x1]];Database=d',
    'jdbc:postgresql://h/d?user=x&password=[[abc]]&ssl=true',
  ],
  secret: [
    '"api_key": "[[A1b2C3d4E5f6G7h8J9k0]]"',
    'Authorization: Bearer [[abcdef0123456789ABCDEFxyz]]',
    'aws_secret_access_key = [[wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1]]',
    "client_secret: '[[Zq8~x7Y2pLm4Nr6Tv0Ws]]'",
    '{"password":"[[Tr0ub4dor&3]]"}',
    '"{""password"": ""[[Tr0ub4dor&3]]"", ""x"": """"}"', // in CSV, or in a record
    '{"(\\"{\\"\\"password\\"\\": \\"\\"[[Tr0ub4dor&3]]\\"\\"}\\")"}', // in a record in an array
    'AccountKey=[[Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq]]',
    '"{\\"token\\":\\"[[9f86d081884c7d659a2feaa0c55ad015]]\\"}"',
  ],
};

export interface Plant {
  readonly detector: DetectorName;
  /** The text without marks; the value is `[start, end)`, in bytes. */
  readonly text: Buffer;
  readonly start: number;
  readonly end: number;
}

export const plants: readonly Plant[] = Object.entries(planted).flatMap(([detector, texts]) =>
  texts.map((marked) => {
    const [before = '', value = '', after = ''] = marked.split(/\[\[|\]\]/);
    const start = Buffer.byteLength(before);
    return {
      detector: detector as DetectorName,
      text: Buffer.from(before + value + after),
      start,
      end: start + Buffer.byteLength(value),
    };
  }),
);
