/**
 * Runs in a page that a test looks at, as a script and not as a module; leaves what it found in `found`. Contrast is that of
 * WCAG 2.2, against what lies behind, half-transparent grounds and opacity included.
 */
const parse = (text) => {
  const [red = 0, green = 0, blue = 0, alpha = 1] = (text.match(/[\d.]+/g) ?? []).map(Number);
  return { red, green, blue, alpha };
};

const over = (top, below) => {
  const mix = (name) => top[name] * top.alpha + below[name] * (1 - top.alpha);
  return { red: mix('red'), green: mix('green'), blue: mix('blue'), alpha: 1 };
};

const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);

const luminance = ({ red, green, blue }) =>
  0.2126 * linear(red / 255) + 0.7152 * linear(green / 255) + 0.0722 * linear(blue / 255);

const behind = (element) => {
  if (element === null) throw new Error('nothing opaque lies behind');
  const own = parse(getComputedStyle(element).backgroundColor);
  return own.alpha === 1 ? own : over(own, behind(element.parentElement));
};

const opacityOf = (element) =>
  element === null ? 1 : Number(getComputedStyle(element).opacity) * opacityOf(element.parentElement);

const ratioOf = (colour, element, ground) => {
  const back = behind(ground);
  const top = parse(colour);
  const shown = over({ ...top, alpha: top.alpha * opacityOf(element) }, back);
  const [light, dark] = [luminance(shown), luminance(back)].toSorted((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
};

const textOf = (element) =>
  [...element.childNodes]
    .filter((node) => node.nodeType === Node.TEXT_NODE)
    .map((node) => node.textContent)
    .join('')
    .trim();

const fields = [...document.querySelectorAll('input:not([type=hidden])')];
const texts = [...document.querySelectorAll('body *')].filter((element) => textOf(element) !== '');
const { documentElement: root, activeElement: active } = document;

globalThis.found = {
  contrasts: [
    ...texts.map((element) => ({
      what: textOf(element),
      ratio: ratioOf(getComputedStyle(element).color, element, element),
      least: 4.5,
    })),
    ...fields.map((field) => ({
      what: `edge of ${field.id}`,
      ratio: ratioOf(getComputedStyle(field).borderTopColor, field, field.parentElement),
      least: 3,
    })),
  ],
  unnamed: fields.filter((field) => field.labels.length === 0).map((field) => field.name),
  small: [...document.querySelectorAll('button'), ...fields]
    .filter((each) => each.getBoundingClientRect().height < 44)
    .map((each) => each.id || each.textContent),
  scrollsSideways: root.scrollWidth > root.clientWidth,
  focused: active?.id || active?.textContent?.trim() || '',
};
