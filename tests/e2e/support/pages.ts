/** Every page that stands alone, and what it says while there is nothing on it. */
export const PAGES = {
  "/": "Make a developer certificate",
  "/devices": "No device has come in yet",
  "/certificates": "No developer certificate yet",
  "/knocks": "Nobody was turned away",
  "/server": "Server CA",
  "/keys": "No API key yet",
  "/settings": "Registration lifetime",
  "/groups": "No group yet",
  "/enrollments": "No device is claimed",
  "/applications": "No application yet",
  "/notifications": "No program listens yet",
  "/reference": "Operations of Pelion that are not served",
  "/reference/get_v3_devices": "The request is not valid.",
  "/users": "ada@example.com",
  "/audit": "ada@example.com",
  "/accounts": "Runs this instance",
};
