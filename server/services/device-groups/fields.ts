import { attributesField } from "../devices/update";
import { descriptionField, nameField } from "../validate";

/** What people say of a group. */
export const groupFields = {
  name: nameField(128),
  description: descriptionField(1024),
  customAttributes: attributesField(10),
};
