// From what the shopper types to the features of the bundle.

/** What a server would look up; nothing at all shows how missing data is treated. */
const NETWORKS = {
  home: { ip_signups_1h: 0, ip_signups_1d: 1, device_signups_1d: 0, device_age_days: 410, asn_risk: 0.04, is_proxy: false, is_tor: false, ip_phone_km: 12, country_group: "western_europe" },
  proxy: { ip_signups_1h: 9, ip_signups_1d: 31, device_signups_1d: 1, device_age_days: 20, asn_risk: 0.55, is_proxy: true, is_tor: false, ip_phone_km: 640, country_group: "western_europe" },
  farm: { ip_signups_1h: 60, ip_signups_1d: 300, device_signups_1d: 24, device_age_days: 0, asn_risk: 0.93, is_proxy: true, is_tor: false, ip_phone_km: 5200, country_group: "western_europe" },
  none: {},
};
const DISPOSABLE = new Set(["mailinator.com", "guerrillamail.com", "10minutemail.com", "trashmail.com"]);

/** `typed` holds the form's texts, `behaviour` when it was begun and how much was pasted. */
export function featuresOf(typed, behaviour) {
  const [local = "", domain = ""] = typed.email.toLowerCase().split("@");
  const digits = local.replace(/\D/g, "").length;
  return {
    ...NETWORKS[typed.network],
    channel: "web",
    phone_type: typed.phone,
    ua_entropy: 3.9,
    form_seconds: behaviour.seconds,
    fields_pasted: behaviour.pasted,
    hour_local: behaviour.hour,
    weekday: behaviour.weekday,
    // What is not typed yet is missing, not zero.
    ...(local && { email_local_length: Math.min(local.length, 64), email_digit_share: digits / local.length }),
    ...(local && typed.name && { name_email_similarity: similarity(typed.name, local) }),
    ...(domain.includes(".") && {
      is_disposable_email: DISPOSABLE.has(domain),
      email_domain_reputation: DISPOSABLE.has(domain) ? 0.02 : 0.9,
      email_domain_age_days: DISPOSABLE.has(domain) ? 60 : 6000,
    }),
  };
}

/** Share of the pairs of letters that name and address have in common. */
function similarity(name, local) {
  const pairs = (text) => {
    const letters = text.toLowerCase().replace(/[^a-z]/g, "");
    return new Set(Array.from({ length: Math.max(0, letters.length - 1) }, (_, at) => letters.slice(at, at + 2)));
  };
  const [one, two] = [pairs(name), pairs(local)];
  const common = [...one].filter((pair) => two.has(pair)).length;
  return one.size + two.size === 0 ? 0 : (2 * common) / (one.size + two.size);
}
