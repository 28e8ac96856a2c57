"use client";
import { ChevronsUpDown, LogOut, Monitor, Moon, Sun } from "lucide-react";
import { signOut } from "next-auth/react";
import { useTheme } from "next-themes";
import { Menu, MenuItem, MenuLabel, MenuRadioGroup, MenuRadioItem, MenuSeparator } from "../ui/menu";

export interface UserMenuProps {
  name: string;
  email: string;
  account: string;
}

export function UserMenu({ name, email, account }: UserMenuProps) {
  const { theme, setTheme } = useTheme();
  return (
    <Menu
      align="start"
      trigger={
        <button
          type="button"
          className="flex w-full items-center gap-2.5 rounded-md px-2 py-1.5 text-left transition-colors hover:bg-hover data-[state=open]:bg-hover"
        >
          <span className="min-w-0 flex-1">
            <span className="block truncate font-medium text-sm">{account}</span>
            <span className="block truncate text-muted text-xs">{name || email}</span>
          </span>
          <ChevronsUpDown className="size-3.5 shrink-0 text-muted" aria-hidden />
        </button>
      }
    >
      <MenuLabel>{email}</MenuLabel>
      <MenuSeparator />
      <MenuRadioGroup value={theme} onValueChange={setTheme} aria-label="Theme">
        <MenuRadioItem value="light">
          <Sun aria-hidden />
          Light
        </MenuRadioItem>
        <MenuRadioItem value="dark">
          <Moon aria-hidden />
          Dark
        </MenuRadioItem>
        <MenuRadioItem value="system">
          <Monitor aria-hidden />
          As the system
        </MenuRadioItem>
      </MenuRadioGroup>
      <MenuSeparator />
      <MenuItem onSelect={() => void signOut({ callbackUrl: "/login" })}>
        <LogOut aria-hidden />
        Sign out
      </MenuItem>
    </Menu>
  );
}
